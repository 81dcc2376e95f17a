// Text in bodies: counted in characters, with neither NUL nor half a character, which no database gives back as it came.
import { Type, type TString } from '@sinclair/typebox'

export function text (minLength: number, maxLength: number): TString {
  return Type.String({ minLength, maxLength, pattern: '^[^\\0\\ud800-\\udfff]*$' })
}
