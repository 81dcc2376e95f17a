// Everything there is to know of one key.
import type { ComponentChildren } from 'preact'
import type { ApiKey } from '../answers.js'
import { useSettings } from '../settings.js'
import type { TextName } from '../text.js'
import { Ago } from '../widgets/time.js'
import { Kind, RateLimits, ScopeList, Status } from './key-words.js'

/** @param originsRequired does a publishable key without origins work on the account's sites alone, be there any or none? */
export function KeyFacts ({ apiKey, keys, originsRequired }: { apiKey: ApiKey, keys: readonly ApiKey[], originsRequired: boolean }) {
  const { say, format } = useSettings()
  const { createdAt, createdBy, expiresAt, revokedReason, allowedOrigins, allowedIps, rotatedFrom, access } = apiKey
  const noOrigins = access === 'secret' ? 'key.origins.any' : originsRequired ? 'key.origins.sites' : 'key.origins.sites.any'
  return (
    <dl class='facts'>
      <Fact name='key.masked'><code>{apiKey.maskedKey}</code></Fact>
      <Fact name='key.id'><code class='wrap'>{apiKey.publicId}</code></Fact>
      <Fact name='key.kind'><Kind apiKey={apiKey} /></Fact>
      <Fact name='key.status'>
        <Status apiKey={apiKey} keys={keys} />
        {revokedReason !== null && ` (${say.maybe(`key.reason.${revokedReason}`) ?? revokedReason})`}
      </Fact>
      {access === 'secret' && <Fact name='key.scopes'><ScopeList scopes={apiKey.scopes} /></Fact>}
      <Fact name='key.limit'><RateLimits rateLimits={apiKey.rateLimits} /></Fact>
      <Fact name='key.origins'>{allowedOrigins.length > 0 ? allowedOrigins.join(', ') : say(noOrigins)}</Fact>
      <Fact name='key.ips'>{allowedIps.length > 0 ? allowedIps.join(', ') : say('any')}</Fact>
      <Fact name='key.created'>{createdBy === null ? format.time(createdAt) : say('use.made.by', { time: format.time(createdAt), name: createdBy })}</Fact>
      <Fact name='key.used'><Ago time={apiKey.lastUsedAt} empty={say('never')} /></Fact>
      <Fact name='key.expires'>{expiresAt === null ? say('never') : format.time(expiresAt)}</Fact>
      {rotatedFrom !== null && <Fact name='key.rotated-from'><code class='wrap'>{rotatedFrom}</code></Fact>}
    </dl>
  )
}

/** @param name of the text that names it */
export function Fact ({ name, children }: { name: TextName, children: ComponentChildren }) {
  const { say } = useSettings()
  return <div><dt>{say(name)}</dt><dd>{children}</dd></div>
}
