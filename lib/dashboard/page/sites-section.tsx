// Sites.
import { useSettings } from './settings.js'

export function SitesSection () {
  const { say } = useSettings()
  return <h2>{say('sites.title')}</h2>
}
