// Takes the reports of a secret scanner, by GitHub's partner protocol: signed with the scanner's key, answered with what each match was.
// https://docs.github.com/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify'
import { isSignedBy, sha256 } from '../crypto.js'
import { isText, refuseField } from '../fields.js'
import type { Leak, LeakedKeys, OnLeak } from '../leaks/leaked-keys.js'
import type { ScannerKeys } from '../leaks/scanner-keys.js'
import { isPlainObject } from '../plain-object.js'
import { sourceOf } from './request-state.js'

export interface SecretScanningParts {
  readonly leaks: LeakedKeys
  readonly onLeak: OnLeak
  readonly keys: ScannerKeys
}

/** One match of a report. `type`: the scanner's name for what the match looks like. */
interface Match extends Leak { readonly type: string }

const IDENTIFIER = 'github-public-key-identifier'
const SIGNATURE = 'github-public-key-signature'
/** Bytes of a report: some 4 000 matches. */
const BODY_LIMIT = 2 ** 20
/** Of a URL, in code points. */
const MAX_URL = 8192

/** Registered with the route's path as its prefix. */
export async function secretScanningRoute (scope: FastifyInstance, { leaks, onLeak, keys }: SecretScanningParts): Promise<void> {
  scope.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'no-store') })
  // The signature is over the bytes as they came.
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })

  // A host may guard everything with protect(): whoever reports has no key.
  scope.post('/', { bodyLimit: BODY_LIMIT, config: { apiKey: false }, schema: { hide: true } as FastifySchema }, async (request, reply) => {
    const matches = readMatches(await signedBody(request, keys))
    const from = sourceOf(request)
    const answer = []
    for (const { type, ...leak } of matches) {
      const label = await leaks.report(leak, onLeak, from) ? 'true_positive' : 'false_positive'
      answer.push({ token_hash: sha256(leak.token), token_type: type, label })
    }
    return await reply.type('application/json; charset=utf-8').send(JSON.stringify(answer))
  })
}

/** The body, if it is the scanner's. @throws INVALID_REQUEST, STORAGE_UNAVAILABLE */
async function signedBody ({ headers, body }: FastifyRequest, keys: ScannerKeys): Promise<Buffer> {
  const { [IDENTIFIER]: identifier, [SIGNATURE]: signature } = headers
  if (typeof identifier !== 'string') refuseField(IDENTIFIER, 'is required')
  if (typeof signature !== 'string') refuseField(SIGNATURE, 'is required')
  if (!Buffer.isBuffer(body)) refuseField('body', 'is required')
  const key = await keys.find(identifier)
  if (key === null) refuseField(IDENTIFIER, 'names no public key of the scanner')
  if (!isSignedBy(key, body, signature)) refuseField(SIGNATURE, 'is not that of the body')
  return body
}

/** All of them are good before one is acted on. @throws INVALID_REQUEST */
function readMatches (body: Buffer): Match[] {
  const list = parse(body)
  if (!Array.isArray(list)) refuseField('body', 'must be a list')
  return list.map((match: unknown, place): Match => {
    if (!isPlainObject(match)) refuseField(`[${place}]`, 'must be an object')
    const { token, type, url = '' } = match
    if (typeof token !== 'string') refuseField(`[${place}].token`, 'must be text')
    if (typeof type !== 'string') refuseField(`[${place}].type`, 'must be text')
    if (!isText(url, MAX_URL)) refuseField(`[${place}].url`, `must be text of at most ${MAX_URL} characters`)
    return { token, type, url }
  })
}

function parse (body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    refuseField('body', 'must be JSON')
  }
}
