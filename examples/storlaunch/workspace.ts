// The workspace, its keys of this start, and what the terminal shows: the commands of the documentation, ready to be pasted.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { ulid } from './envelope.js'

/** Who issues the keys of the starts. */
const ISSUER = { id: 'start', name: 'Start' }

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
  const by = { accountId: keptId(join(dataDir, 'workspace')), credential: 'host', actor: ISSUER } as const
  await keys.revokeAll(by, { actorId: ISSUER.id })
  const spare = await keys.issue(by, { label: 'Spare key' })
  const publishable = await keys.issue(by, { label: 'Shop page', access: 'publishable' })
  const secret = await keys.issue(by, { label: 'Key of the last start' })
  return { secret: secret.plaintextKey!, publishable: publishable.plaintextKey!, spareId: spare.apiKey.publicId }
}

/** The workspace's id in a file, made at the first start: it is the account that the keys belong to. */
function keptId (file: string): string {
  try {
    writeFileSync(file, `ws_${ulid()}`, { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8')
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
