// Instances that hold keys in memory: for how long a change made elsewhere may be missed, and what the channel makes of that.
import t, { type Test } from 'tap'
import { memoryStorage, type AccountPolicy, type Actor, type ChannelListener, type RevocationChannel, type SelfServeKeysOptions, type Storage } from '../../lib/index.js'
import { deferred, hostOf, testClock, watched } from '../helpers/app.js'

const BY: Actor = { accountId: 'user_a', credential: 'host' }
const DELAY = 5000

/** A channel between the instances of one test, which loses what it is told to lose. */
function bus () {
  const listeners = new Set<ChannelListener>()
  const sent: string[] = []
  const state = { cut: false, failing: false }
  const channel = (): RevocationChannel => {
    let mine: ChannelListener | undefined
    return {
      open (listener) {
        mine = listener
        listeners.add(listener)
      },
      async publish (message) {
        if (state.failing) throw new Error('The channel is full.')
        sent.push(message)
        if (!state.cut) for (const listener of listeners) listener.receive(message)
      },
      async close () { listeners.delete(mine!) }
    }
  }
  return { channel, sent, state, listeners, told: (tell: (listener: ChannelListener) => void) => { listeners.forEach(tell) } }
}

type Instance = Awaited<ReturnType<typeof instanceOf>>

async function instanceOf (t: Test, options: Partial<SelfServeKeysOptions>) {
  const { app, lines } = await hostOf(t, { scopes: { 'blocks:read': 'Read blocks', 'blocks:write': 'Write blocks' }, ...options })
  const status = async (plaintext: string, headers: Record<string, string> = {}): Promise<number> =>
    (await app.inject({ url: '/v1/blocks', headers: { 'x-api-key': plaintext, ...headers } })).statusCode
  return { app, lines, keys: app.selfServeKeys.keys, status }
}

/** Two instances on one storage. */
async function pairOf (t: Test, { channel, storage = memoryStorage(), ...options }: Partial<SelfServeKeysOptions> & { channel?: () => RevocationChannel } = {}) {
  const clock = testClock()
  const seen = watched(storage)
  const made = async (): Promise<Instance> => await instanceOf(t, {
    storage: seen.storage, clock, revocation: { maxDelay: DELAY, ...channel !== undefined && { channel: channel() } }, ...options
  })
  const [a, b] = [await made(), await made()]
  const asked = (): number => seen.calls.filter(({ name }) => name === 'findKeyByHash').length
  return { a, b, clock, asked, calls: seen.calls }
}

async function issued ({ keys }: Instance, input = {}): Promise<{ plaintext: string, publicId: string }> {
  const { plaintextKey, apiKey } = await keys.issue(BY, { label: 'One', ...input })
  return { plaintext: plaintextKey!, publicId: apiKey.publicId }
}

t.test('without a delay', async (t) => {
  const clock = testClock()
  const { storage, calls } = watched(memoryStorage())
  const [a, b] = [await instanceOf(t, { storage, clock }), await instanceOf(t, { storage, clock })]
  const { plaintext, publicId } = await issued(a)
  calls.length = 0
  for (let turn = 0; turn < 5; turn++) t.equal(await b.status(plaintext), 200)
  t.same(calls.map(({ name }) => name), Array(5).fill('findKeyByHash'), 'every request asks the storage, once')
  await a.keys.revoke(BY, publicId)
  t.equal(await b.status(plaintext), 401)
})

t.test('without a delay a publishable key takes one round trip too, sites and all', async (t) => {
  const { storage, calls } = watched(memoryStorage())
  const { app, keys } = await instanceOf(t, { storage })
  app.log.level = 'silent'
  const { plaintextKey } = await keys.issue(BY, { label: 'Page', access: 'publishable' })
  await app.selfServeKeys.sites.add(BY, 'https://shop.example')
  calls.length = 0
  const verified = await app.selfServeKeys.verify(plaintextKey!, { allowPublishable: true, origin: 'https://shop.example' })
  t.equal(verified.ok, true)
  t.same(calls.map(({ name }) => name), ['findKeyByHash'])
})

t.test('with a delay', async (t) => {
  t.test('a key that is held asks nobody, and a revocation elsewhere holds when the delay is over', async (t) => {
    const { a, b, clock, asked } = await pairOf(t)
    const { plaintext, publicId } = await issued(a)
    t.equal(await b.status(plaintext), 200)
    const before = asked()
    for (let turn = 0; turn < 20; turn++) t.equal(await b.status(plaintext), 200)
    t.equal(asked(), before)
    clock.pass(DELAY - 1)
    await a.keys.revoke(BY, publicId)
    t.equal(await b.status(plaintext), 200, 'within the delay')
    clock.pass(1)
    t.equal(await b.status(plaintext), 401, 'the delay runs from when the key was asked for')
    t.equal(await a.status(plaintext), 401)
  })

  t.test('the instance that made a change knows of it at once, whatever it was', async (t) => {
    const changes: Record<string, { change: (keys: Instance['keys'], publicId: string, app: Instance['app']) => Promise<unknown>, expected: number, header?: Record<string, string> }> = {
      revoked: { change: async (keys, publicId) => await keys.revoke(BY, publicId), expected: 401 },
      'all revoked': { change: async (keys) => await keys.revokeAll(BY), expected: 401 },
      rotated: { change: async (keys, publicId) => await keys.rotate(BY, publicId), expected: 401 },
      disabled: { change: async (keys, publicId) => await keys.update(BY, publicId, { enabled: false }), expected: 401 },
      narrowed: { change: async (keys, publicId) => await keys.update(BY, publicId, { allowedIps: ['192.0.2.1'] }), expected: 403 },
      erased: { change: async (_keys, _publicId, app) => { await app.selfServeKeys.accounts.erase('user_a') }, expected: 401 },
      renamed: { change: async (keys, publicId) => await keys.update(BY, publicId, { label: 'Two' }), expected: 200 }
    }
    for (const [name, { change, expected }] of Object.entries(changes)) {
      const { a, clock, asked } = await pairOf(t)
      const { plaintext, publicId } = await issued(a)
      const other = await issued(a)
      for (const one of [plaintext, other.plaintext]) t.equal(await a.status(one), 200)
      const before = asked()
      await change(a.keys, publicId, a.app)
      clock.pass(1)
      t.equal(await a.status(plaintext), expected, name)
      t.equal(asked(), before + 1, `${name}: it was asked for again`)
      if (name === 'all revoked' || name === 'erased') continue
      t.equal(await a.status(other.plaintext), 200)
      t.equal(asked(), before + 1, `${name}: other keys stay where they are`)
    }
  })

  t.test('issue-or-rotate evicts the default key it replaces', async (t) => {
    const { a } = await pairOf(t)
    const { plaintextKey } = await a.keys.issueDefault(BY)
    t.equal(await a.status(plaintextKey!), 200)
    await a.keys.issueDefault(BY)
    t.equal(await a.status(plaintextKey!), 401)
  })

  t.test('a site that comes or goes counts at once here', async (t) => {
    const { a, clock } = await pairOf(t)
    const { app, keys } = a
    const { plaintextKey } = await keys.issue(BY, { label: 'Page', access: 'publishable' })
    const works = async (): Promise<boolean> => (await app.selfServeKeys.verify(plaintextKey!, { allowPublishable: true, origin: 'https://shop.example' })).ok
    t.equal(await works(), false)
    clock.pass(1)
    const { siteId } = await app.selfServeKeys.sites.add(BY, 'https://shop.example')
    clock.pass(1)
    t.equal(await works(), true)
    clock.pass(1)
    await app.selfServeKeys.sites.remove(BY, siteId)
    clock.pass(1)
    t.equal(await works(), false)
    await t.rejects(app.selfServeKeys.sites.remove(BY, siteId), { code: 'SITE_NOT_FOUND' })
  })

  t.test('a lookup that began before a revocation and ends after it fills nothing', async (t) => {
    const storage = memoryStorage()
    const held = deferred()
    let hold = false
    const slow: Storage = {
      ...storage,
      async findKeyByHash (digests) {
        const found = await storage.findKeyByHash(digests)
        if (hold) await held.promise
        return found
      }
    }
    const { a, clock } = await pairOf(t, { storage: slow })
    const { plaintext, publicId } = await issued(a)
    hold = true
    const early = a.status(plaintext)
    hold = false
    await new Promise((resolve) => { setImmediate(resolve) })
    await a.keys.revoke(BY, publicId)
    held.resolve()
    t.equal(await early, 200, 'a request that began before may pass')
    for (let turn = 0; turn < 3; turn++) {
      t.equal(await a.status(plaintext), 401, 'one that begins after it may not')
      clock.pass(1)
    }
  })

  t.test('a change whose answer was lost is followed as if it had been made, and one that is asked for again too', async (t) => {
    const storage = memoryStorage()
    let lost = false
    const flaky: Storage = {
      ...storage,
      async revokeKey (input) {
        const outcome = await storage.revokeKey(input)
        if (lost) throw new Error('The connection was lost after the commit.')
        return outcome
      }
    }
    const { a, b, clock } = await pairOf(t, { storage: flaky })
    const { plaintext, publicId } = await issued(a)
    t.equal(await a.status(plaintext), 200)
    lost = true
    await t.rejects(a.keys.revoke(BY, publicId), { code: 'STORAGE_UNAVAILABLE' })
    t.equal(await a.status(plaintext), 401)
    // Here it was held since before the revocation that the other instance made: to revoke it again says so at once.
    lost = false
    const second = await issued(a)
    t.equal(await b.status(second.plaintext), 200)
    await a.keys.revoke(BY, second.publicId)
    t.equal(await b.status(second.plaintext), 200)
    await b.keys.revoke(BY, second.publicId)
    clock.pass(1)
    t.equal(await b.status(second.plaintext), 401)
  })

  t.test('what was done behind a caller\'s back counts from the next change on, whatever that one finds to do', async (t) => {
    const storage = memoryStorage()
    /** What was asked for and given up: committed after its caller was told that it failed, and what was held was evicted. */
    const late: Array<() => Promise<unknown>> = []
    let slow = false
    const hesitating = <I, O>(change: (input: I) => Promise<O>) => async (input: I): Promise<O> => {
      if (!slow) return await change(input)
      late.push(async () => await change(input))
      throw new Error('no answer in time')
    }
    const { a, clock } = await pairOf(t, {
      storage: {
        ...storage,
        issueKey: hesitating(storage.issueKey),
        rotateKey: hesitating(storage.rotateKey),
        revokeKeys: hesitating(storage.revokeKeys),
        removeSite: hesitating(storage.removeSite)
      }
    })
    const { sites, verify } = a.app.selfServeKeys
    const origin = 'https://shop.example.com'
    const works = async (plaintext: string): Promise<boolean> => (await verify(plaintext, { allowPublishable: true, origin })).ok
    const named = await issued(a)
    const first = await a.keys.issueDefault(BY)
    const { siteId } = await sites.add(BY, origin)
    const publishable = await issued(a, { access: 'publishable', environment: 'test' })
    const twice = async (name: string, plaintext: string, change: () => Promise<unknown>, again = change): Promise<void> => {
      slow = true
      await t.rejects(change(), { code: 'STORAGE_UNAVAILABLE' })
      slow = false
      clock.pass(1)
      t.equal(await works(plaintext), true, `${name}: held again`)
      await late.pop()!()
      await again()
      clock.pass(1)
      t.equal(await works(plaintext), false, name)
    }
    await twice('a default key that was rotated, and its successor then', first.plaintextKey!, async () => await a.keys.issueDefault(BY))
    await twice('a site that was removed, and is not there', publishable.plaintext, async () => { await sites.remove(BY, siteId) }, async () => {
      await t.rejects(sites.remove(BY, siteId), { code: 'SITE_NOT_FOUND' })
    })
    await twice('a key that was rotated, and is not active', named.plaintext, async () => await a.keys.rotate(BY, named.publicId), async () => {
      await t.rejects(a.keys.rotate(BY, named.publicId), { code: 'API_KEY_NOT_ACTIVE' })
    })
    const last = await issued(a)
    await twice('all keys that were revoked, of which none is left', last.plaintext, async () => await a.keys.revokeAll(BY))
  })

  t.test('a rotation that is replayed is followed like the first time: what it ended, and what it lets retire', async (t) => {
    for (const overlapSeconds of [0, 1]) {
      const { a, b, clock } = await pairOf(t)
      const { plaintext, publicId } = await issued(a)
      t.equal(await b.status(plaintext), 200)
      const rotate = async ({ keys }: Instance): Promise<unknown> => await keys.rotate(BY, publicId, { overlapSeconds, idempotencyKey: 'a' })
      await rotate(a)
      clock.pass(overlapSeconds * 1000)
      t.equal(await b.status(plaintext), 200, 'held here, within the delay')
      await rotate(b)
      clock.pass(1)
      t.equal(await b.status(plaintext), 401)
    }
  })

  t.test('keys that were moved under another pepper are asked for again, and not moved twice', async (t) => {
    const storage = memoryStorage()
    const plain = await instanceOf(t, { storage })
    const { plaintext } = await issued(plain)
    const { a, clock, calls } = await pairOf(t, { storage, keys: { peppers: { current: 'p1', keys: { p1: 'p'.repeat(32) } } } })
    t.equal(await a.status(plaintext), 200)
    clock.pass(1)
    await a.app.selfServeKeys.flush()
    clock.pass(1)
    for (let turn = 0; turn < 3; turn++) t.equal(await a.status(plaintext), 200)
    await a.app.selfServeKeys.flush()
    t.equal(calls.filter(({ name }) => name === 'rehashKeys').length, 1)
  })

  t.test('holds as many keys as keys.cacheSize says', async (t) => {
    const { a, asked } = await pairOf(t, { keys: { cacheSize: 2 } })
    const held = [await issued(a), await issued(a), await issued(a)]
    for (const { plaintext } of held) t.equal(await a.status(plaintext), 200)
    const before = asked()
    const use = async (place: number): Promise<number> => {
      t.equal(await a.status(held[place]!.plaintext), 200)
      return asked() - before
    }
    t.equal(await use(0), 0)
    t.equal(await use(1), 0)
    t.equal(await use(2), 1, 'a third one is let in as it is used again')
    t.equal(await use(2), 1)
    t.equal(await use(0) + await use(1), 4, 'and one of the two had to make room')
  })
})

t.test('with a channel', async (t) => {
  t.test('a change holds everywhere at once', async (t) => {
    const { channel, sent } = bus()
    const { a, b, clock } = await pairOf(t, { channel })
    const { plaintext, publicId } = await issued(a)
    t.equal(await b.status(plaintext), 200)
    clock.pass(1)
    await a.keys.revoke(BY, publicId)
    clock.pass(1)
    t.equal(await b.status(plaintext), 401)
    t.same(sent.map((message) => JSON.parse(message)), [{ keys: [publicId] }])
    t.notMatch(sent.join(), plaintext.slice(8, 20))
  })

  t.test('many keys go in messages that every channel can carry', async (t) => {
    const { channel, sent } = bus()
    const { a, b } = await pairOf(t, { channel })
    await Promise.all(Array.from({ length: 100 }, async () => { await issued(a) }))
    // More than an account may have, as a host that raised its limit for a while leaves it.
    const storage = memoryStorage()
    const { a: c } = await pairOf(t, { channel, storage, policy: { resolve: () => ({ maxKeys: 100 }) } })
    await Promise.all(Array.from({ length: 100 }, async () => { await issued(c) }))
    sent.length = 0
    const { revokedPublicIds } = await a.keys.revokeAll(BY)
    t.equal(revokedPublicIds.length, 100)
    t.same(new Set(sent.flatMap((message) => (JSON.parse(message) as { keys: string[] }).keys)), new Set(revokedPublicIds))
    t.ok(sent.every((message) => Buffer.byteLength(message) < 7000))
    t.equal(b.lines.filter(({ level }) => level >= 40).length, 0)
  })

  t.test('that is cut, the delay still holds; when it is back, nothing that was held is trusted', async (t) => {
    const { channel, state, told } = bus()
    const { a, b, clock, asked } = await pairOf(t, { channel })
    const { plaintext, publicId } = await issued(a)
    const other = await issued(a)
    for (const one of [plaintext, other.plaintext]) t.equal(await b.status(one), 200)
    state.cut = true
    told(({ lost }) => { lost(new Error('cut')) })
    told(({ lost }) => { lost(new Error('cut again')) })
    clock.pass(1)
    await a.keys.revoke(BY, publicId)
    t.equal(await b.status(plaintext), 200)
    clock.pass(DELAY - 1)
    t.equal(await b.status(plaintext), 401)
    const before = asked()
    t.equal(await b.status(other.plaintext), 200)
    t.equal(asked(), before + 1)
    clock.pass(1)
    told(({ listening }) => { listening() })
    clock.pass(1)
    t.equal(await b.status(other.plaintext), 200)
    t.equal(asked(), before + 2, 'asked for again')
    const said = b.lines.filter(({ msg }) => msg.includes('revocation channel')).map(({ level, msg }) => [level, msg])
    t.same(said, [
      [40, 'the revocation channel is lost: changes made elsewhere hold here when the delay is over'], [30, 'the revocation channel is back']
    ], 'one line as it goes and one as it comes')
  })

  t.test('that takes no messages stops no change, and says so once', async (t) => {
    const { channel, state } = bus()
    const { a, clock } = await pairOf(t, { channel })
    state.failing = true
    for (let turn = 0; turn < 3; turn++) {
      const { plaintext, publicId } = await issued(a)
      t.equal(await a.status(plaintext), 200)
      clock.pass(1)
      await a.keys.revoke(BY, publicId)
      clock.pass(1)
      t.equal(await a.status(plaintext), 401)
    }
    state.failing = false
    const { publicId } = await issued(a)
    await a.keys.revoke(BY, publicId)
    await new Promise((resolve) => { setImmediate(resolve) })
    t.same(a.lines.filter(({ msg }) => msg.includes('channel')).map(({ level, msg }) => [level, msg]), [
      [40, 'the revocation channel takes no messages: other instances learn of changes when their delay is over'],
      [30, 'the revocation channel takes messages again']
    ])
  })

  t.test('that hangs holds a bounded number of messages and no change up', async (t) => {
    let published = 0
    const hanging = (): RevocationChannel => ({ open () {}, publish: async () => { published++; await new Promise(() => {}) }, close: async () => {} })
    const { a } = await pairOf(t, { channel: hanging })
    for (let turn = 0; turn < 1100; turn++) a.app.selfServeKeys.policy.invalidate('user_a')
    t.equal(published, 1000)
  })

  t.test('a message that is not understood empties what is held, and nobody falls over it', async (t) => {
    const { channel, told } = bus()
    const { a, clock, asked } = await pairOf(t, { channel })
    const { plaintext } = await issued(a)
    for (const message of ['', 'x', '{', 'null', '[]', '1', '{}', '{"keys":1}', '{"keys":[1]}', '{"account":1}', '{"policy":null}', '{"later":"x"}', '{"keys":[],"more":1}', '{"__proto__":{}}']) {
      t.equal(await a.status(plaintext), 200)
      const before = asked()
      clock.pass(1)
      told(({ receive }) => { receive(message) })
      clock.pass(1)
      t.equal(await a.status(plaintext), 200)
      t.equal(asked(), before + 1, message)
    }
    const before = asked()
    told(({ receive }) => { receive('{"keys":["key_of_another"]}') })
    t.equal(await a.status(plaintext), 200)
    t.equal(asked(), before)
  })

  t.test('a plan that is invalidated here is asked for again everywhere, keys in memory or not', async (t) => {
    for (const maxDelay of [0, DELAY] as const) {
      const { channel } = bus()
      let plan: AccountPolicy = {}
      let resolved = 0
      const clock = testClock()
      const storage = memoryStorage()
      const policy = { resolve: () => { resolved++; return plan }, cacheFor: 60_000 }
      const [a, b] = [
        await instanceOf(t, { storage, clock, policy, revocation: { maxDelay, channel: channel() } }),
        await instanceOf(t, { storage, clock, policy, revocation: { maxDelay, channel: channel() } })
      ]
      const { plaintext } = await issued(a)
      t.equal(await b.status(plaintext), 200)
      plan = { suspended: true }
      t.equal(await b.status(plaintext), 200, 'remembered')
      const before = resolved
      a.app.selfServeKeys.policy.invalidate('user_a')
      t.equal(await b.status(plaintext), 403)
      t.equal(resolved, before + 1)
    }
  })

  t.test('that is back, or says what is not understood, makes plans be asked for again too', async (t) => {
    const { channel, told } = bus()
    let resolved = 0
    const { app, status, keys } = await instanceOf(t, {
      clock: testClock(), policy: { resolve: () => { resolved++; return {} }, cacheFor: 60_000 }, revocation: { channel: channel() }
    })
    const { plaintext } = await issued({ app, status, keys, lines: [] })
    for (const tell of [({ listening }: ChannelListener) => { listening() }, ({ receive }: ChannelListener) => { receive('?') }]) {
      t.equal(await status(plaintext), 200)
      const before = resolved
      t.equal(await status(plaintext), 200)
      t.equal(resolved, before, 'remembered')
      told(tell)
      t.equal(await status(plaintext), 200)
      t.equal(resolved, before + 1)
    }
  })

  t.test('an account that is erased is gone everywhere', async (t) => {
    const { channel } = bus()
    const { a, b, clock } = await pairOf(t, { channel })
    const { plaintext } = await issued(a)
    t.equal(await b.status(plaintext), 200)
    clock.pass(1)
    await a.app.selfServeKeys.accounts.erase('user_a')
    clock.pass(1)
    t.equal(await b.status(plaintext), 401)
  })

  t.test('is closed with the app, and one that will not close is left behind', async (t) => {
    const { channel, listeners } = bus()
    const { a, b } = await pairOf(t, { channel })
    t.equal(listeners.size, 2)
    await a.app.close()
    t.equal(listeners.size, 1)
    await b.app.close()
    t.equal(listeners.size, 0)
    const stuck = await instanceOf(t, { revocation: { channel: { open () {}, publish: async () => {}, close: async () => { throw new Error('No.') } } } })
    await stuck.app.close()
    t.match(stuck.lines.find(({ level }) => level >= 50), { msg: 'the revocation channel could not be closed', err: { message: 'No.' } })
  })
})
