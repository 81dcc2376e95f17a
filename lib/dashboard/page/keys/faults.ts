// What is wrong with the fields of a form, by the member of the request's body that each fills.
import type { ApiError } from '../api.js'
import type { Say } from '../text.js'
import { lineOf } from './lines.js'

export type Faults = Partial<Record<'label' | 'scopes' | 'allowedOrigins' | 'allowedIps' | 'expiresAt', string>>

/**
 * What the server finds wrong with a field, without the name it has there; null: nothing.
 * @param lines of a field that sends its lines: its text
 */
export function faultOf (failure: ApiError | null, field: string, say: Say, lines?: string): string | null {
  if (failure?.field !== field) return null
  const [, place, rule] = /^\w+(?:\.(\d+))?: (.*)$/s.exec(failure.message)!
  return place === undefined || lines === undefined ? rule! : say('fault.line', { line: lineOf(lines, Number(place)), rule: rule! })
}

/**
 * Once it is drawn: the first field that says it is wrong, also one that was folded away, with what it says.
 * @param form null: it was closed meanwhile
 */
export function focusFirstFault (form: HTMLFormElement | null): void {
  requestAnimationFrame(() => {
    const field = form?.querySelector<HTMLElement>('[aria-invalid="true"]')
    const folded = field?.closest('details')
    if (folded != null) folded.open = true
    field?.focus()
    field?.closest('[part="field"]')?.scrollIntoView({ block: 'nearest' })
  })
}
