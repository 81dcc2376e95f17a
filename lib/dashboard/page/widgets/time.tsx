// A moment, told from now; the exact time is there for whoever wants it.
import { useSettings } from '../settings.js'
import { useNow } from '../use-now.js'

export function Ago ({ time, empty }: { time: string | null, empty: string }) {
  const { format } = useSettings()
  const now = useNow(30_000)
  if (time === null) return <span class='quiet'>{empty}</span>
  return <time dateTime={time} title={format.time(time)}>{format.ago(time, Math.max(now, Date.now()))}</time>
}
