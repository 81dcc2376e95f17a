// A moment to the second, and how long ago it was: what an entry of a log is found by.
import { useSettings } from './settings.js'
import { Ago } from './widgets/time.js'

export function Moment ({ time }: { time: string }) {
  const { format: { locale } } = useSettings()
  const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
  return <><time dateTime={time}>{exact.format(new Date(time))}</time><small><Ago time={time} empty='' /></small></>
}
