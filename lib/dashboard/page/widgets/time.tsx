// A moment: told from now, with the exact time for whoever wants it, or the other way round.
import { useSettings } from '../settings.js'
import { useNow } from '../use-now.js'

export function Ago ({ time, empty }: { time: string | null, empty: string }) {
  const { format } = useSettings()
  const now = useNow(30_000)
  if (time === null) return <span class='quiet'>{empty}</span>
  return <time dateTime={time} title={format.time(time)}>{format.ago(time, Math.max(now, Date.now()))}</time>
}

/** To the second, and how long ago it was: what an entry of a log is found by. */
export function Moment ({ time }: { time: string }) {
  const { format } = useSettings()
  return <><time dateTime={time}>{format.moment(time)}</time><small><Ago time={time} empty='' /></small></>
}
