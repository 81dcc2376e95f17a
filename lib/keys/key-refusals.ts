// The errors of changes that a storage refused.
import { makeError } from '../errors.js'
import type { KeyRefusal } from './key-changes.js'

const BEYOND = {
  environment: 'A test API key may not manage live API keys.',
  scopes: 'An API key may not manage or issue keys with more scopes than it has.',
  allowedIps: 'An API key may not manage or issue keys that work from more addresses than it does.',
  expiresAt: 'An API key may not manage or issue keys that outlive it.'
} as const

/** @param maxKeys what the account may have */
export function refusalError (refusal: KeyRefusal, maxKeys: number): Error {
  switch (refusal.reason) {
    case 'not_found': return makeError('API_KEY_NOT_FOUND', {})
    case 'limit': return makeError('KEY_LIMIT_REACHED', {
      message: `The account has as many API keys as it may have: ${maxKeys}.`, details: { maxKeys }
    })
    case 'hash_taken': return makeError('INVALID_REQUEST', { message: 'hash: is that of another key', details: { field: 'hash' } })
    case 'idempotency_key_reused': return makeError('IDEMPOTENCY_KEY_REUSED', {})
    case 'acting_key_ended': return makeError('INVALID_API_KEY', { details: {} })
    case 'beyond_acting_key': return makeError('FORBIDDEN', { message: BEYOND[refusal.field] })
    case 'not_active': return makeError('API_KEY_NOT_ACTIVE', {
      message: refusal.byHost && refusal.status !== 'revoked'
        ? 'The API key was disabled by the operator of this API, who alone can change that.'
        : `The API key is ${refusal.status}.`,
      details: { status: refusal.status }
    })
  }
}
