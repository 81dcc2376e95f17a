// Every word that is shown, by name: one table, so that it can be translated.
import { KEYS } from './english/keys.js'
import { SECTIONS } from './english/sections.js'
import { SHARED } from './english/shared.js'

export const ENGLISH = { ...SHARED, ...KEYS, ...SECTIONS }

export type TextName = keyof typeof ENGLISH
/** `'keys.found'` of `'keys.found.one'` and `'keys.found.other'`. */
type CountedName = TextName extends infer N ? N extends `${infer Stem}.other` ? Stem : never : never
type Values = Readonly<Record<string, string | number>>

export interface Say {
  (name: TextName, values?: Values): string
  /** The text for so many: `name.one`, `name.other` or another form the language has, with `{count}` written out. */
  count (name: CountedName, count: number, values?: Values): string
  /** The text of a name that may not be there. */
  maybe (name: string): string | null
}

/** @param others words in place of the English ones @param number writes a count */
export function sayIn (locale: string, others: Readonly<Record<string, string>>, number: (value: number) => string): Say {
  const plural = new Intl.PluralRules(locale)
  const textOf = (name: string): string | null => [others, ENGLISH].map((table) => Object.hasOwn(table, name) ? (table as Record<string, string>)[name]! : null).find((text) => text !== null) ?? null
  const fill = (text: string, values: Values): string =>
    text.replace(/\{(\w+)\}/g, (whole, name: string) => Object.hasOwn(values, name) ? isolated(String(values[name])) : whole)
  return Object.assign(
    (name: TextName, values: Values = {}) => fill(textOf(name)!, values),
    {
      count: (name: CountedName, count: number, values: Values = {}) =>
        fill(textOf(`${name}.${plural.select(count)}`) ?? textOf(`${name}.other`)!, { ...values, count: number(count) }),
      maybe: textOf
    }
  )
}

/** Characters that are written from right to left, or say that others are. */
const TURNS = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}\u200E\u200F\u202A-\u202E\u2066-\u2069]/u

/** Text that would turn the sentence around it is set apart from it. */
function isolated (text: string): string {
  return TURNS.test(text) ? `\u2068${text}\u2069` : text
}
