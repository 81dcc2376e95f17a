// Numbers and times as the reader's language writes them.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export interface Format {
  readonly locale: string
  number (value: number): string
  /** Day and time. @param iso RFC 3339 */
  time (iso: string): string
  /** Day and time, to the second. */
  moment (iso: string): string
  /** Day alone. */
  day (iso: string): string
  /** `3 minutes ago`, `in 2 days`. @param now ms */
  ago (iso: string, now: number): string
  /** A length of time in its two largest units: `2 hr 5 min`. @param ms never negative */
  span (ms: number): string
  /** How long a request took. @param ms */
  took (ms: number): string
}

export function formatOf (locale: string): Format {
  const number = new Intl.NumberFormat(locale)
  const time = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })
  const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
  const day = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' })
  // Not `numeric: 'auto'`, which calls 24 hours a yesterday: what was 47 hours ago may be two days before today.
  const relative = new Intl.RelativeTimeFormat(locale)
  const justNow = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(0, 'second')
  const list = new Intl.ListFormat(locale, { type: 'unit', style: 'narrow' })
  const units = new Map<string, Intl.NumberFormat>()
  const unit = (value: number, name: string, digits = 0): string => {
    const known = units.get(`${name} ${digits}`) ?? new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits: digits })
    units.set(`${name} ${digits}`, known)
    return known.format(value)
  }
  const UNITS = [['day', DAY], ['hour', HOUR], ['minute', MINUTE], ['second', 1000]] as const

  return {
    locale,
    number: (value) => number.format(value),
    time: (iso) => time.format(new Date(iso)),
    moment: (iso) => moment.format(new Date(iso)),
    day: (iso) => day.format(new Date(iso)),
    ago (iso, now) {
      const ms = Date.parse(iso) - now
      const [name, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['second', 1000] as const
      const count = Math.trunc(ms / size)
      return count === 0 ? justNow : relative.format(count, name)
    },
    span (ms) {
      const at = Math.max(0, UNITS.findIndex(([, size]) => ms >= size))
      const [first, second] = ms < 1000 ? [UNITS[3], undefined] : [UNITS[at]!, UNITS[at + 1]]
      const whole = Math.floor(ms / first[1])
      const rest = second === undefined ? 0 : Math.floor((ms - whole * first[1]) / second[1])
      return list.format([unit(whole, first[0]), ...(rest > 0 ? [unit(rest, second![0])] : [])])
    },
    took: (ms) => ms < 1000 ? unit(ms, 'millisecond', ms < 10 ? 1 : 0) : unit(ms / 1000, 'second', 1)
  }
}
