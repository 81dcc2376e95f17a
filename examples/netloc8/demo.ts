// The demo user and what the terminal shows at the start: the commands of the documentation, ready to be pasted.
import type { FastifyInstance } from 'fastify'
import type { Users } from './users.js'

export interface Demo {
  /** Its plaintext is shown at this start and never again. */
  apiKey: { plaintext: string, publicId: string }
  /** A key and a site that may be removed. */
  spareKeyId: string
  siteId: string
}

/** Signs the demo user in. The key of the last start ends as the new one begins: there is one default key. */
export async function startDemo ({ selfServeKeys: { keys, sites, audit } }: FastifyInstance, users: Users): Promise<Demo> {
  const { id } = users.findOrAdd({ name: 'Demo', email: 'demo@example.com', plan: 'free' })
  const by = { accountId: id, credential: 'host', actor: { id } } as const
  await audit.record(by, { action: 'login', detail: 'Signed in' })
  const { plaintextKey, apiKey } = await keys.issueDefault(by)

  const { apiKeys: active } = await keys.list(id, { status: 'active' })
  const spareKey = active.find(({ isDefault }) => !isDefault) ?? (await keys.issue(by, { label: 'Spare key', scopes: null })).apiKey
  const site = (await sites.list(id)).sites[0] ?? await sites.add(by, 'https://example.com')
  return { apiKey: { plaintext: plaintextKey!, publicId: apiKey.publicId }, spareKeyId: spareKey.publicId, siteId: site.siteId }
}

export function welcome (origin: string, { apiKey: { plaintext, publicId }, spareKeyId, siteId }: Demo): string {
  const account = `${origin}/v1/account/me`
  return `ready ${origin}
api key ${plaintext}

curl -H "X-API-Key: ${plaintext}" \\
  ${account}

curl -H "X-API-Key: ${plaintext}" \\
  ${account}/keys

curl -X POST -H "X-API-Key: ${plaintext}" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "Production key", "type": "secret"}' \\
  ${account}/keys

curl -X DELETE -H "X-API-Key: ${plaintext}" \\
  ${account}/keys/${spareKeyId}

curl -X POST -H "X-API-Key: ${plaintext}" \\
  ${account}/keys/${publicId}/renew

curl -H "X-API-Key: ${plaintext}" \\
  ${account}/usage

curl -H "X-API-Key: ${plaintext}" \\
  ${account}/sites

curl -X POST -H "X-API-Key: ${plaintext}" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "https://example.com"}' \\
  ${account}/sites

curl -X DELETE -H "X-API-Key: ${plaintext}" \\
  ${account}/sites/${siteId}

curl -H "X-API-Key: ${plaintext}" \\
  "${account}/audit?limit=10"
`
}
