// Makes the record of a key about to be stored, and the plaintext it belongs to.
import { ulid } from '../crypto.js'
import { creatorIdOf, displayName, type Actor } from './actor.js'
import type { Access, Environment, NewKey } from './api-key.js'
import { displayParts, generateKey } from './key-format.js'
import type { KeyHasher } from './key-hash.js'
import type { NewSecret } from './key-changes.js'

/** Who issues a key, as it is kept beside it. */
export function creatorOf (by: Actor): Pick<NewKey, 'createdBy' | 'creatorId'> {
  return { createdBy: displayName(by), creatorId: by.actor === undefined ? null : creatorIdOf(by.actor.id) }
}

/** A new secret of this kind. */
export function newSecret (
  { prefix, hasher, by, now }: { prefix: (access: Access, environment: Environment) => string, hasher: KeyHasher, by: Actor, now: number },
  access: Access, environment: Environment
): { secret: NewSecret, plaintext: string } {
  const plaintext = generateKey(prefix(access, environment))
  const secret = {
    publicId: `key_${ulid(now)}`, ...displayParts(plaintext), ...hasher.current(plaintext), ...creatorOf(by), createdAt: now
  }
  return { secret, plaintext }
}
