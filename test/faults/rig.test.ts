// What the fault tests are made of: the checker sees each violation, and the proxy does what it is told.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { toIso } from '../../lib/time.js'
import { NOW, storedKey } from '../helpers/keys.js'
import { violations, type AccountState, type Operation, type ProcessEnd, type Run } from './checker.js'
import { startFaultProxy, type Fault, type FaultProxy } from './fault-proxy.js'

const ACCOUNT = 'a'
const PROCESS = 'host 1'

const operation = (overrides: Partial<Operation>): Operation => ({
  process: PROCESS,
  account: ACCOUNT,
  action: 'call',
  publicId: null,
  start: 0,
  end: 1,
  status: 200,
  code: null,
  retryAfter: null,
  made: null,
  replaced: [],
  revokedAt: null,
  ...overrides
})
const change = (action: Operation['action'], overrides: Partial<Operation>): Operation => operation({ action, status: action === 'revoke' ? 200 : 201, ...overrides })
const unavailable = (overrides: Partial<Operation>): Operation => operation({ status: 503, code: 'STORAGE_UNAVAILABLE', retryAfter: '1', ...overrides })
const entry = (id: number, action: string, targetId: string): AccountState['audit'][number] =>
  ({ id, action, targetId, targetType: 'api_key', time: NOW, detail: '', credential: 'bearer', actorId: null, actorName: null, ip: null, requestId: null })
const ended: ProcessEnd = { process: PROCESS, killedAt: null, usageLostFrom: null, code: 0, ms: 10, allowed: 1000 }
const killed: ProcessEnd = { process: PROCESS, killedAt: 100, usageLostFrom: 90, code: 'SIGKILL', ms: 0, allowed: 0 }

const rotated = { revokedAt: NOW, revokedReason: 'rotated', isDefault: false }
const first = storedKey({ publicId: 'key_1', ...rotated })
const second = storedKey({ publicId: 'key_2', isDefault: true, rotatedFrom: 'key_1' })
const named = storedKey({ publicId: 'key_3', isDefault: false, revokedAt: NOW, revokedReason: 'revoked by its owner' })

/** A run in which all is well: a default key issued, used, rotated, refused; a named one issued and revoked twice. */
const OPERATIONS: readonly Operation[] = [
  change('issue default', { made: 'key_1', start: 0, end: 1 }),
  operation({ publicId: 'key_1', start: 2, end: 3 }),
  change('issue default', { made: 'key_2', replaced: ['key_1'], start: 4, end: 6 }),
  operation({ publicId: 'key_1', start: 5, end: 8 }), // began before the end was answered
  operation({ publicId: 'key_1', start: 7, end: 8, status: 401 }),
  operation({ publicId: 'key_2', start: 7, end: 8 }),
  change('issue', { made: 'key_3', start: 9, end: 10 }),
  change('revoke', { publicId: 'key_3', start: 11, end: 12, revokedAt: toIso(NOW) }),
  change('revoke', { publicId: 'key_3', start: 12, end: 13, revokedAt: toIso(NOW) })
]
const STATE: AccountState = {
  account: ACCOUNT,
  keys: [first, second, named],
  audit: [entry(1, 'api_key.issued', 'key_1'), entry(2, 'api_key.rotated', 'key_1'), entry(3, 'api_key.issued', 'key_3'), entry(4, 'api_key.revoked', 'key_3')],
  requests: new Map([['key_1', 3], ['key_2', 1]])
}

function judge ({ more = [], run = {}, state = {} }: { more?: readonly Operation[], run?: Partial<Run>, state?: Partial<AccountState> }): string[] {
  return violations({ operations: [...OPERATIONS, ...more], processes: [ended], outages: [], limit: 100, ...run }, [{ ...STATE, ...state }])
}

t.test('the checker finds nothing where nothing is wrong', async (t) => {
  t.same(judge({}), [])
  t.same(judge({ more: [unavailable({ publicId: 'key_2', start: 21, end: 29 })], run: { outages: [{ from: 20, to: 30 }] } }), [], '503 while the database is away')
  t.same(judge({ more: [operation({ publicId: 'key_2', start: 99, end: 101, status: null })], run: { processes: [killed] } }), [], 'a connection that a kill broke')
  t.same(judge({
    more: [change('issue', { status: null, start: 99, end: 101 })], run: { processes: [killed] }, state: { keys: [...STATE.keys, storedKey({ publicId: 'key_4' })], audit: [...STATE.audit, entry(5, 'api_key.issued', 'key_4')] }
  }), [], 'a change without an answer that happened')
  t.same(judge({ more: [operation({ publicId: 'key_2', start: 91, end: 92 })], run: { processes: [killed] } }), [], 'usage that a kill may lose')
  t.same(judge({ more: [change('issue default', { status: null, start: 99, end: 101 }), operation({ publicId: 'key_2', status: 401, start: 100, end: 102 })], run: { processes: [killed] }, state: { requests: new Map([['key_1', 3], ['key_2', 2]]) } }), [], 'a key that may have been replaced')
})

t.test('the checker sees', async (t) => {
  const without = (made: string): Operation[] => OPERATIONS.filter((one) => one.made !== made)
  const cases: Record<string, { found: RegExp, wrong: Parameters<typeof judge>[0] }> = {
    'two default keys': { found: /^I1: a has 2 default keys of live/, wrong: { state: { keys: [first, second, { ...named, isDefault: true }] } } },
    'an acknowledged key that is lost': { found: /^I2: key_3 was answered to "issue" and is not there/, wrong: { state: { keys: [first, second] } } },
    'an acknowledged rotation of another key': { found: /^I2: key_3 was answered as the successor of undefined and is that of key_9/, wrong: { state: { keys: [first, second, { ...named, rotatedFrom: 'key_9' }] } } },
    'a replaced key that goes on': { found: /^I2: key_1 was replaced, as was answered, and has not ended/, wrong: { state: { keys: [{ ...first, revokedAt: null, revokedReason: null }, second, named] } } },
    'a revoked key that is back': { found: /^I2: key_3 was revoked, as was answered, and has not ended/, wrong: { state: { keys: [first, second, { ...named, revokedAt: null }] } } },
    'two successors of one key': { found: /^I3: key_1 has 2 successors: key_2,key_3/, wrong: { state: { keys: [first, second, { ...named, rotatedFrom: 'key_1' }] } } },
    'a successor whose predecessor was not replaced': { found: /^I3: key_2 succeeds key_1, which did not end so/, wrong: { state: { keys: [{ ...first, revokedReason: 'revoked by its owner' }, second, named] } } },
    'half a rotation': { found: /^I3: key_3 was replaced by nothing/, wrong: { state: { keys: [first, second, { ...named, revokedReason: 'rotated' }] } } },
    'a key that nobody asked for': { found: /^I3: a has 1 keys that nobody was told of, from 0 changes without an answer/, wrong: { run: { operations: without('key_3') } } },
    'a key that passes after its end was answered': { found: /^I4: key_1 passed in a request that began 14\.0 ms after/, wrong: { more: [operation({ publicId: 'key_1', start: 20, end: 21 })] } },
    'an end that moved': { found: /^I5: key_3 was revoked at .*, as was answered, and is now at/, wrong: { state: { keys: [first, second, { ...named, revokedAt: NOW + 1 }] } } },
    'usage that was counted twice': { found: /^I6: key_2 has 2 requests recorded of 1 that were sent/, wrong: { state: { requests: new Map([['key_1', 3], ['key_2', 2]]) } } },
    'usage of a key that nobody used': { found: /^I6: key_3 has 1 requests recorded of 0/, wrong: { state: { requests: new Map([...STATE.requests, ['key_3', 1]]) } } },
    'usage that a graceful end lost': { found: /^I6: key_1 has 2 requests recorded of 3 that must be/, wrong: { state: { requests: new Map([['key_1', 2], ['key_2', 1]]) } } },
    'usage from long before a kill that is lost': { found: /^I6: key_2 has 0 requests recorded of 1 that must be/, wrong: { run: { processes: [killed] }, state: { requests: new Map([['key_1', 3]]) } } },
    'a change without an entry': { found: /^I9: a has 0 entries "api_key.revoked key_3"/, wrong: { state: { audit: STATE.audit.slice(0, 3) } } },
    'a change with two entries': { found: /^I9: a has 2 entries "api_key.rotated key_1"/, wrong: { state: { audit: [...STATE.audit, entry(5, 'api_key.rotated', 'key_1')] } } },
    'an entry of what did not happen': { found: /^I9: a has an entry "api_key.revoked key_2" of a change that is not there/, wrong: { state: { audit: [...STATE.audit, entry(5, 'api_key.revoked', 'key_2')] } } },
    'a gap in the log': { found: /^I9: the entries of a do not count from 1 to 4/, wrong: { state: { audit: STATE.audit.map((one) => one.id === 4 ? { ...one, id: 5 } : one) } } },
    'a good key that is called bad': { found: /^I10: key_2 was refused at 21\.0, and nobody had asked for its end/, wrong: { more: [operation({ publicId: 'key_2', status: 401, start: 20, end: 21 })] } },
    'a pass while the database is away': { found: /^I10: .* answered 200 {2}while the database was away/, wrong: { run: { outages: [{ from: 6, to: 9 }] } } },
    'an answer that is late': { found: /^I10: "call" to host 1, .* after more than 100 ms/, wrong: { more: [unavailable({ publicId: 'key_2', start: 20, end: 121 })] } },
    'an error nobody declared': { found: /^I12: .* answered 500 INTERNAL/, wrong: { more: [operation({ status: 500, code: 'INTERNAL', publicId: 'key_2' })] } },
    'a 503 that does not say when to come again': { found: /^I12: .* Retry-After: null/, wrong: { more: [unavailable({ retryAfter: null })] } },
    'a connection that broke by itself': { found: /^I12: .* the connection broke, and nobody had killed the process/, wrong: { more: [operation({ status: null, publicId: 'key_2' })] } },
    'a crash': { found: /^I12: host 1 ended with 1, not 0/, wrong: { run: { processes: [{ ...ended, code: 1 }] } } },
    'a process that does not end': { found: /^I13: host 1 took 1001 ms to end, of 1000/, wrong: { run: { processes: [{ ...ended, ms: 1001 }] } } }
  }
  for (const [name, { found, wrong }] of Object.entries(cases)) {
    t.ok(judge(wrong).some((violation) => found.test(violation)), `${name}: ${judge(wrong).join('; ')}`)
  }
})

/** A server that says everything back, a proxy before it, and connections through that. */
async function echo (t: Test): Promise<{ proxy: FaultProxy, open (): Promise<Socket> }> {
  const server = createServer((socket) => { socket.on('error', () => {}).pipe(socket) }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const proxy = await startFaultProxy(t, (server.address() as { port: number }).port)
  return {
    proxy,
    async open () {
      const socket = connect(proxy.port, '127.0.0.1').setEncoding('utf8')
      t.teardown(() => { socket.destroy() })
      await once(socket, 'connect')
      return socket.on('error', () => {})
    }
  }
}

async function say (socket: Socket, text: string): Promise<string> {
  socket.write(text)
  const [answer] = await once(socket, 'data') as [string]
  return answer
}

/** Nothing came by the time that another connection, which works, said something and was answered. */
async function isSilent (socket: Socket, other: () => Promise<unknown>): Promise<boolean> {
  let heard = false
  const hear = (): void => { heard = true }
  socket.on('data', hear)
  await other()
  socket.off('data', hear)
  return !heard
}

t.test('the proxy', async (t) => {
  t.test('passes, refuses and resets, and passes again', async (t) => {
    const { proxy, open } = await echo(t)
    const socket = await open()
    t.equal(await say(socket, 'one'), 'one')
    const closed = once(socket, 'close')
    await proxy.set('refuse')
    await closed
    await t.rejects(open(), { code: 'ECONNREFUSED' })
    await proxy.set('pass')
    const again = await open()
    t.equal(await say(again, 'two'), 'two')
    const reset = once(again, 'error')
    await proxy.set('reset')
    t.match(await reset, [{ code: 'ECONNRESET' }])
    await proxy.set('pass')
    t.equal(await say(await open(), 'three'), 'three')
  })

  t.test('holds everything in a black hole, until it is over', async (t) => {
    const { proxy, open } = await echo(t)
    const before = await open()
    t.equal(await say(before, 'one'), 'one')
    await proxy.set('black-hole')
    const inside = await open()
    const answers = [say(before, 'two'), say(inside, 'three')]
    let answered = false
    Promise.race(answers).then(() => { answered = true }, () => {})
    // Beside it a connection of the same kind works, which gives everything here the time to go wrong.
    const { open: beside } = await echo(t)
    const other = await beside()
    for (const text of ['a', 'b', 'c']) await say(other, text)
    t.notOk(answered)
    await proxy.set('pass')
    t.same(await Promise.all(answers), ['two', 'three'])
  })

  t.test('forgets open connections for good, and takes new ones', async (t) => {
    const { proxy, open } = await echo(t)
    const old = await open()
    t.equal(await say(old, 'one'), 'one')
    await proxy.set('forget')
    old.write('two')
    t.ok(await isSilent(old, async () => { t.equal(await say(await open(), 'three'), 'three') }))
    await proxy.set('pass')
    t.ok(await isSilent(old, async () => { t.equal(await say(await open(), 'four'), 'four') }))
  })

  t.test('holds chunks back, and breaks off in the middle of one', async (t) => {
    const { proxy, open } = await echo(t)
    const socket = await open()
    await proxy.set({ slow: 40 } satisfies Fault)
    const began = performance.now()
    t.equal(await say(socket, 'one'), 'one')
    t.ok(performance.now() - began >= 79)
    await proxy.set({ cut: { within: 100 } })
    let heard = ''
    socket.on('data', (text: string) => { heard += text })
    const closed = once(socket, 'close')
    socket.write('x'.repeat(1000))
    await closed
    t.ok(heard.length < 100, `${heard.length} characters`)
  })
})
