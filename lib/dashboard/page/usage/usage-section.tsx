// Usage.
import { useSettings } from '../settings.js'

export function UsageSection () {
  const { say } = useSettings()
  return <h2>{say('usage.title')}</h2>
}
