// Headers that belong to our errors, put on the reply before the host's error handler renders the body.
import type { FastifyReply } from 'fastify'
import { isSelfServeKeysError } from '../errors.js'

/** Challenge (RFC 6750 §3: no error attribute where nothing was presented) and Retry-After of an error of ours. */
export function setErrorHeaders (reply: FastifyReply, error: unknown, realm: string): void {
  const challenge = (attributes = ''): void => { reply.header('www-authenticate', `Bearer realm="${realm}"${attributes}`) }
  if (isSelfServeKeysError(error, 'INVALID_API_KEY')) {
    challenge(', error="invalid_token"')
  } else if (isSelfServeKeysError(error, 'SESSION_REQUIRED')) {
    challenge(error.details.presented ? ', error="invalid_token"' : '')
  } else if (isSelfServeKeysError(error, 'MISSING_API_KEY') || isSelfServeKeysError(error, 'BEARER_REQUIRED')) {
    challenge()
  } else if (isSelfServeKeysError(error, 'INSUFFICIENT_SCOPE')) {
    challenge(`, error="insufficient_scope", scope="${error.details.requiredScopes.join(' ')}"`)
  } else if (isSelfServeKeysError(error, 'RATE_LIMITED') || isSelfServeKeysError(error, 'STORAGE_UNAVAILABLE')) {
    reply.header('retry-after', error.details.retryAfter)
  }
}
