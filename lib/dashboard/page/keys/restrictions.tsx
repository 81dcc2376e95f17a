// From where a key may be used.
import type { Access } from '../answers.js'
import { useSettings } from '../settings.js'
import type { Faults } from './faults.js'
import { LinesField } from './lines-field.js'

export interface RestrictionsProps {
  readonly access: Access
  readonly originsRequired: boolean
  /** A text of lines each. */
  readonly origins: string
  readonly ips: string
  onOrigins (text: string): void
  onIps (text: string): void
  fault (field: keyof Faults): string | null
}

export function Restrictions ({ access, originsRequired, origins, ips, onOrigins, onIps, fault }: RestrictionsProps) {
  const { say } = useSettings()
  const hint = access === 'secret' ? 'issue.origins.hint.secret' : originsRequired ? 'issue.origins.hint' : 'issue.origins.hint.any'
  return (
    <details open={origins !== '' || ips !== '' || access === 'publishable'}>
      <summary>{say('issue.restrictions')}</summary>
      <LinesField label={say('issue.origins')} hint={say(hint)} value={origins} onChange={onOrigins} fault={fault('allowedOrigins')} />
      <LinesField label={say('issue.ips')} hint={say('issue.ips.hint')} value={ips} onChange={onIps} fault={fault('allowedIps')} />
    </details>
  )
}
