// What somebody should know before they end a key: who made it, and whether it is used.
import type { ApiKey, KeyUsage } from '../answers.js'
import { useSettings } from '../settings.js'
import { useLoad } from '../use-load.js'
import { Ago } from '../widgets/time.js'
import { Fact } from './key-facts-list.js'

export function KeyUse ({ apiKey }: { apiKey: ApiKey }) {
  const { api, say, format, features } = useSettings()
  const { createdAt, createdBy, publicId } = apiKey
  const { value, failure } = useLoad<KeyUsage | null>(async () => features.usage ? await api.keyUsage(publicId) : null, [publicId])
  const last = value?.lastRequest ?? null
  const requests = (): string => {
    if (failure !== null) return say('use.unknown')
    if (value === null) return say('loading')
    const count = say.count('use.day.requests', value.requests)
    return value.failures === 0 ? count : say('use.day.failed', { requests: count, failures: format.number(value.failures) })
  }
  return (
    <dl class='facts'>
      <Fact name='key.masked'><code>{apiKey.maskedKey}</code></Fact>
      <Fact name='use.made'>{createdBy === null ? format.time(createdAt) : say('use.made.by', { time: format.time(createdAt), name: createdBy })}</Fact>
      <Fact name='use.last'>
        <Ago time={last?.time ?? apiKey.lastUsedAt} empty={say('use.last.never')} />
        {last !== null && <> <code class='wrap'>{last.method} {last.route}</code></>}
      </Fact>
      {features.usage && <Fact name='use.day'>{requests()}</Fact>}
    </dl>
  )
}
