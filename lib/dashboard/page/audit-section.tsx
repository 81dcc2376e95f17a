// Audit.
import { useSettings } from './settings.js'

export function AuditSection () {
  const { say } = useSettings()
  return <h2>{say('audit.title')}</h2>
}
