// Keys.
import { useSettings } from '../settings.js'

export function KeysSection () {
  const { say } = useSettings()
  return <h2>{say('keys.title')}</h2>
}
