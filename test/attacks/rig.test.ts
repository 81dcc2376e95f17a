// What judges the attack sees what it is there for, and what is sent can be sent again.
import t from 'tap'
import type { StoredAuditEntry } from '../../lib/audit/audit-entry.js'
import { sha256 } from '../../lib/crypto.js'
import { hasKeyShape } from '../../lib/keys/key-format.js'
import { readAnswers, type Answer } from './answers.js'
import { AMBIGUOUS, CORPUS } from './corpus/index.js'
import { faultsOf, faultsOfAmbiguous } from './judge.js'
import { startLedger } from './ledger.js'
import { mutantOf } from './mutations.js'
import { ambiguous } from './plans.js'
import { CREDENTIALS, ROUTES } from './requests.js'
import type { Plan } from './sender.js'
import { smallest } from './smallest.js'
import { worldOf } from './world.js'

const world = worldOf('rig')
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
const read = (text: string): ReturnType<typeof readAnswers> => readAnswers(Buffer.from(text, 'latin1'))
const answerOf = (status: number, headers: Record<string, string>, body = ''): string =>
  [`HTTP/1.1 ${status} X`, ...Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers }).map(([name, value]) => `${name}: ${value}`), '', body].join('\r\n')
const plan = (bytes: string): Plan => ({ name: 'a plan', pieces: [Buffer.from(bytes)], then: 'reads' })
const faults = (received: string, end: 'closed' | 'left' | 'refused' = 'closed'): string[] => faultsOf({ plan: plan(''), received: Buffer.from(received, 'latin1'), end }, world)

t.test('the corpus has more than sixty requests, of which each is on every route from everybody', async (t) => {
  t.ok(Object.keys(CORPUS).length > 250 && Object.keys(AMBIGUOUS).length > 30)
  const count = (plans: Iterable<Plan>): number => [...plans].length
  t.equal(count(ambiguous(world, 'rig')), Object.keys(AMBIGUOUS).length * ROUTES.length * Object.keys(CREDENTIALS).length)
  t.equal(count(ambiguous(world, 'rig', 4)), Object.keys(AMBIGUOUS).length * ROUTES.length, 'and in the short form from one of four')
})

t.test('the same seed makes the same bytes, another one others', async (t) => {
  const bytes = (seed: string, number: number): string => mutantOf(worldOf('rig'), seed, number).pieces.map(String).join('|')
  t.same([1, 2, 3].map((number) => bytes('a', number)), [1, 2, 3].map((number) => bytes('a', number)))
  t.not(bytes('a', 1), bytes('b', 1))
  t.not(bytes('a', 1), bytes('a', 2))
  t.same(worldOf('a'), worldOf('a'))
  t.ok(worldOf('a').attackers.every(({ key }) => hasKeyShape(key)))
})

t.test('answers are read one after another, whatever tells their length', async (t) => {
  const { answers, fault, rest } = read([
    'HTTP/1.1 100 Continue\r\n\r\n', OK, answerOf(200, { 'x-method': 'HEAD', 'content-length': '99' }), 'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n', 'HTTP/1.1 417 X\r\n\r\n', OK
  ].join(''))
  t.same([answers.map(({ status, body }) => `${status} ${String(body)}`), fault, rest], [['100 ', '200 {}', '200 ', '204 ', '200 abc', '417 ', '200 {}'], null, 0])
  t.match(read(OK.replace('{}', 'HTTP/1.1 100 Continue\r\n\r\n{}') + OK), { answers: [{ status: 200 }, { status: 200 }], fault: null, rest: 0 }, 'Node may put it there')
})

t.test('what is no answer is a fault, what breaks off is told apart', async (t) => {
  const malformed = [
    'HTTP/1.1 20 OK\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', 'HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n', `${OK}garbage`, 'HTTP/1.1 200 OK\nA: b\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n'
  ]
  for (const text of malformed) t.match(read(text).fault, /./, JSON.stringify(text))
  for (const text of ['HTTP/1.1 200 OK\r\nA: b', 'HTTP/1', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab']) {
    t.match(read(text), { answers: [], fault: null, rest: text.length })
    t.match(faults(text), [/broke off/])
  }
})

t.test('the judge finds a failure, a secret, a stack, a cache and a connection that is left', async (t) => {
  const account = { 'x-method': 'GET', 'x-route': '/v1/me/sites' }
  const noStore = { ...account, 'cache-control': 'no-store' }
  t.same(faults(answerOf(404, noStore, '{}') + OK), [])
  t.same(faults(answerOf(401, { ...noStore, 'www-authenticate': 'Bearer realm="api"' })), [])
  t.match(faults(answerOf(500, noStore)), [/failure of its own/])
  t.match(faults(answerOf(503, noStore)), [/failure of its own/])
  t.match(faults(answerOf(404, account)), [/Cache-Control is undefined/])
  t.match(faults(answerOf(200, { ...account, 'x-route': '/api-key/token' })), [/Cache-Control/])
  t.same(faults(answerOf(404, { 'x-route': '/v1/meter' })), [])
  t.match(faults(answerOf(401, noStore)), [/no challenge/])
  t.match(faults(answerOf(429, noStore)), [/when to try again/])
  t.match(faults(answerOf(200, { 'content-type': 'application/json' }, '{')), [/no JSON/])
  t.match(faults(answerOf(400, {}, 'Error\n    at handler (x')), [/a stack/])
  t.match(faults(answerOf(400, {}, `no such file ${process.cwd()}/keys.db`)), [/it tells/])
  const { untouched, attackers: [attacker], pepper } = world
  for (const secret of [untouched.key, untouched.token, untouched.label, untouched.keyIds[3]!, pepper, sha256(attacker!.key)]) {
    t.match(faults(answerOf(200, {}, `"${secret}"`)), [/it tells/])
    t.match(faults(answerOf(200, { 'x-odd': secret })), [/it tells/])
  }
  t.match(faults(OK, 'left'), [/left behind/])
  t.match(faults('', 'refused'), [/nobody listens/])
  const ambiguous = (received: string): string[] => faultsOfAmbiguous({ plan: plan(''), received: Buffer.from(received), end: 'closed' })
  t.same(ambiguous(answerOf(400, {})), [])
  t.match(ambiguous(answerOf(400, {}) + OK), [/200 .*let in/])
  t.match(ambiguous(answerOf(400, { 'x-method': 'POST' })), [/400 to POST .*let in/])
})

t.test('the ledger finds an entry too many, one too few, and an answer that came twice', async (t) => {
  const noted = (requestId: string, line: string, status: number, body = '{}'): Answer => {
    const [method = '', route = ''] = line.split(' ')
    return readAnswers(Buffer.from(answerOf(status, { 'x-request-id': requestId, 'x-method': method, 'x-route': route }, status === 204 ? '' : body))).answers[0]!
  }
  const ledger = startLedger()
  ledger.note(noted('issued', 'POST /v1/me/api-keys', 201, '{"plaintextKey":"sk_live_x","replayed":false}'))
  ledger.note(noted('replayed', 'POST /v1/me/api-keys/:publicId/rotate', 200, '{"replayed":true}'))
  ledger.note(noted('refused', 'POST /v1/me/api-keys', 409))
  ledger.note(noted('again', 'DELETE /v1/me/api-keys/:publicId', 200))
  ledger.note(noted('removed', 'DELETE /v1/me/sites/:siteId', 204))
  ledger.note(noted('read', 'GET /v1/me/audit', 200))
  t.equal(ledger.changes, 2)
  t.same(ledger.plaintexts, ['sk_live_x'])
  const entries = (...requestIds: string[]): StoredAuditEntry[] => requestIds.map((requestId) => ({ requestId }) as StoredAuditEntry)
  t.same(ledger.compare(entries('issued', 'removed')), [])
  t.same(ledger.compare(entries('removed', 'issued', 'again', 'its answer was lost')), [])
  t.match(ledger.compare(entries('removed')), [/^issued.* 0 audit entries/])
  t.match(ledger.compare(entries('removed', 'issued', 'issued')), [/^issued.* 2 audit entries/])
  for (const other of ['replayed', 'refused', 'read']) t.match(ledger.compare(entries('issued', 'removed', other)), [new RegExp(`^${other}.* 1 audit entries`)])
  t.match(ledger.compare(entries('issued', 'removed', 'lost', 'lost')), [/^lost has 2/])
  ledger.note(noted('issued', 'GET /v1/me', 404))
  t.match(ledger.compare(entries('removed')), [/^issued was answered twice/])
})

t.test('what shows a fault is made small', async (t) => {
  const long = { ...plan(''), pieces: ['x'.repeat(500), 'ab', 'y'.repeat(700), 'c', 'z'].map((text) => Buffer.from(text)) }
  const small = await smallest(long, async ({ pieces }) => /a.*b.*c/.test(String(Buffer.concat([...pieces]))))
  t.equal(String(Buffer.concat([...small.pieces])), 'abc')
  t.equal(await smallest(long, async () => false), long, 'what does not show again stays as it was')
})
