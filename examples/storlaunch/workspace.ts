// The workspace, its keys of this start, and what the terminal shows: the commands of the documentation, ready to be pasted.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { ulid } from './envelope.js'

export interface Keys {
  /** Opens the account: without it nobody could create one. */
  secret: string
  /** For the shop's pages. */
  publishable: string
  /** Public id of a key that may be revoked. */
  spareId: string
}

/** The keys of this start; those of the last one end. */
export async function startWorkspace ({ selfServeKeys: { keys } }: FastifyInstance, dataDir: string): Promise<Keys> {
  const file = join(dataDir, 'workspace.json')
  const { accountId, keysOfStart } = readWorkspace(file)
  const by = { accountId, credential: 'host', actor: { id: 'start', name: 'Start' } } as const
  for (const publicId of keysOfStart) await keys.revoke(by, publicId)
  const spare = await keys.issue(by, { label: 'Spare key' })
  const publishable = await keys.issue(by, { label: 'Shop page', access: 'publishable' })
  const secret = await keys.issue(by, { label: 'Key of the last start' })
  writeFileSync(file, JSON.stringify({ accountId, keysOfStart: [spare, publishable, secret].map(({ apiKey }) => apiKey.publicId) }))
  return { secret: secret.plaintextKey!, publishable: publishable.plaintextKey!, spareId: spare.apiKey.publicId }
}

/** The account that the keys belong to, and which of them the last start issued; a new one at the first start. */
function readWorkspace (file: string): { accountId: string, keysOfStart: string[] } {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { accountId: `ws_${ulid()}`, keysOfStart: [] }
  }
}

export function welcome (origin: string, { secret, publishable, spareId }: Keys): string {
  const api = `${origin}/api/v1`
  return `ready ${origin}
api key ${secret}

curl ${api}/account/api-keys \\
  -H "Authorization: Bearer ${secret}"

curl -X POST ${api}/account/api-keys \\
  -H "Authorization: Bearer ${secret}" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "Production webhook handler", "environment": "live", "access": "secret"}'

curl -X DELETE ${api}/account/api-keys/${spareId} \\
  -H "Authorization: Bearer ${secret}"

curl ${api}/storefront/products \\
  -H "Authorization: Bearer ${publishable}"

curl "${api}/account/audit-log?action=api_key.revoked" \\
  -H "Authorization: Bearer ${secret}"
`
}
