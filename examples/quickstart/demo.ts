// The demo user and what the terminal shows at the start: commands that work as they are pasted.
import { randomBytes } from 'node:crypto'
import type { Auth } from 'better-auth'
import type { FastifyInstance } from 'fastify'

const EMAIL = 'demo@example.com'

export interface Demo {
  /** Token of a new session of the demo user. */
  sessionToken: string
  /** Public id of a key that may be revoked. */
  publicId: string
}

/** Signs the demo user in, who has a key of the test environment to try revoking on. Makes both if they are missing. */
export async function startDemo (app: FastifyInstance, auth: Auth): Promise<Demo> {
  const { internalAdapter } = await auth.$context
  const known = await internalAdapter.findUserByEmail(EMAIL)
  // Nobody needs its password: its sessions are made here.
  const user = known?.user ?? (await auth.api.signUpEmail({
    body: { name: 'Demo', email: EMAIL, password: randomBytes(32).toString('base64url') }
  })).user
  const { token } = await internalAdapter.createSession(user.id)

  const { keys } = app.selfServeKeys
  const { apiKeys: [active] } = await keys.list(user.id, { environment: 'test', status: 'active' })
  const { publicId } = active ?? (await keys.issueDefault(
    { accountId: user.id, credential: 'host', actor: { id: user.id, name: user.name } }, { environment: 'test' }
  )).apiKey
  return { sessionToken: token, publicId }
}

export function welcome (origin: string, { sessionToken, publicId }: Demo): string {
  return `ready ${origin}/api

# Open ${origin}/api-key in a browser to sign up and manage keys.

export MEZCAL_BASE_URL="${origin}/api"
export MEZCAL_SESSION_TOKEN="${sessionToken}"

curl \\
  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\
  "$MEZCAL_BASE_URL/v1/me/api-keys"

curl -X POST \\
  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\
  "$MEZCAL_BASE_URL/v1/me/api-keys"

curl -X DELETE \\
  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\
  "$MEZCAL_BASE_URL/v1/me/api-keys/${publicId}"

curl \\
  -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" \\
  "$MEZCAL_BASE_URL/v1/me/usage"

API_KEY="$(curl -s -X POST -H "Authorization: Bearer $MEZCAL_SESSION_TOKEN" "$MEZCAL_BASE_URL/v1/me/api-keys" | grep -oE 'sk_live_[0-9A-Za-z]{42}')"
curl -H "X-API-Key: $API_KEY" "$MEZCAL_BASE_URL/v1/blocks"
`
}
