// The options about reports of leaked keys, checked and completed.
import { readPublicKey, type PublicKey } from '../crypto.js'
import type { OnLeak } from '../leaks/leaked-keys.js'
import { readMap, readObject, readOneOf, readString, refuseOption } from './reader.js'

export interface CompleteSecretScanning {
  readonly path: string
  readonly onLeak: OnLeak
  /** The keys, or where they are published. */
  readonly keys: ReadonlyMap<string, PublicKey> | string
}

const GITHUB_KEYS = 'https://api.github.com/meta/public_keys/secret_scanning'
const ACTIONS: readonly OnLeak[] = ['notify', 'disable', 'revoke']

/** null: no reports are taken. @throws INVALID_OPTION */
export function readSecretScanning (value: unknown): CompleteSecretScanning | null {
  if (value === undefined || value === false) return null
  const given = readObject('secretScanning', value, ['onLeak', 'path', 'keysUrl', 'publicKeys'])
  // No default is right for everybody: a key that goes on working is a risk, one that stops is an outage of somebody's.
  if (given.onLeak === undefined) refuseOption('secretScanning.onLeak', `must be one of ${ACTIONS.join(', ')}`)
  if (given.keysUrl !== undefined && given.publicKeys !== undefined) refuseOption('secretScanning.keysUrl', 'must be left out beside publicKeys')
  return {
    path: readString('secretScanning.path', given.path, '/v1/secret-scanning', /^(\/[\w.~-]+)+$/, 'must be a path such as \'/v1/secret-scanning\''),
    onLeak: readOneOf('secretScanning.onLeak', given.onLeak, 'notify', ACTIONS),
    keys: given.publicKeys === undefined ? readKeysUrl(given.keysUrl) : readPublicKeys(given.publicKeys)
  }
}

/** Whoever answers in the scanner's place could end everybody's keys: the way there must be safe. */
function readKeysUrl (value: unknown): string {
  const rule = 'must be an https URL, or an http one of this machine'
  const url = readString('secretScanning.keysUrl', value, GITHUB_KEYS, /^https?:\/\//, rule)
  if (!URL.canParse(url)) refuseOption('secretScanning.keysUrl', rule)
  const { protocol, hostname, username, password } = new URL(url)
  if ((protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) || `${username}${password}` !== '') refuseOption('secretScanning.keysUrl', rule)
  return url
}

function readPublicKeys (value: unknown): ReadonlyMap<string, PublicKey> {
  const keys = Object.entries(readMap('secretScanning.publicKeys', value)).map(([identifier, pem]) => {
    if (!/^[\w-]{1,128}$/.test(identifier)) refuseOption('secretScanning.publicKeys', 'must name each key by 1 to 128 letters, digits, _ and -')
    const key = typeof pem === 'string' ? readPublicKey(pem) : null
    if (key === null) refuseOption(`secretScanning.publicKeys["${identifier}"]`, 'must be the public key of ECDSA on P-256, in PEM')
    return [identifier, key] as const
  })
  if (keys.length === 0) refuseOption('secretScanning.publicKeys', 'must name at least one key')
  return new Map(keys)
}
