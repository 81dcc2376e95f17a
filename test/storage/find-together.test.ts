// Keys that are asked for together: one query a turn of the event loop, and each request gets what is its own, as it is when it asks.
import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import { findTogether } from '../../lib/storage/kysely/find-together.js'
import type { FindKeys, Found } from '../../lib/storage/kysely/found-keys.js'
import { deferred } from '../helpers/app.js'

/** What is found of a hash; `version` tells one answer from another. */
const found = (hash: string, version = 1, siteOrigins: string[] = []): Found => ({ row: { key_hash: hash, version } as Found['row'], siteOrigins })

/** A server that knows every hash but those that begin with `no`. */
function server () {
  const queries: Array<readonly string[]> = []
  const find: FindKeys = async (hashes) => {
    queries.push(hashes)
    return hashes.filter((hash) => !hash.startsWith('no')).map((hash) => found(hash)).toReversed()
  }
  return { queries, find }
}

t.test('what is asked for in one turn is one query, in which a hash is once, and everybody gets what is their own', async (t) => {
  const { queries, find } = server()
  const together = findTogether(find)
  const asked = [['a', 'b'], ['c', 'no'], ['b', 'a'], ['no'], []]
  const answers = await Promise.all(asked.map(async (hashes) => await together(hashes)))
  t.strictSame(answers, [[found('a'), found('b')], [found('c')], [found('b'), found('a')], [], []])
  t.strictSame(queries, [['a', 'b', 'c', 'no']])
})

t.test('a key comes with all its sites', async (t) => {
  const together = findTogether(async () => [found('a', 1, ['https://a.example', 'https://b.example']), found('b')])
  t.strictSame(await Promise.all([together(['b']), together(['a'])]), [[found('b')], [found('a', 1, ['https://a.example', 'https://b.example'])]])
})

t.test('a request never gets an answer that was asked for before it came, nor waits for one', async (t) => {
  const [sent, over] = [deferred(), deferred()]
  let version = 0
  const together = findTogether(async (hashes) => {
    const now = ++version
    if (now === 1) {
      sent.resolve()
      await over.promise
    }
    return hashes.map((hash) => found(hash, now))
  })
  const first = together(['a'])
  await sent.promise
  t.strictSame(await together(['a']), [found('a', 2)])
  over.resolve()
  t.strictSame(await first, [found('a', 1)])
})

t.test('a query has 32 hashes at most, so that no connection has all the work; a request that has more is not divided', async (t) => {
  const { queries, find } = server()
  const together = findTogether(find)
  const many = Array.from({ length: 40 }, (_none, place) => `many${place}`)
  const asked = [...Array.from({ length: 20 }, (_none, place) => [`a${place}`, `b${place}`]), many, ['last']]
  const answers = await Promise.all(asked.map(async (hashes) => await together(hashes)))
  t.strictSame(answers, asked.map((hashes) => hashes.map((hash) => found(hash))))
  t.strictSame(queries.map(({ length }) => length), [32, 8, 40, 1])
})

t.test('a query that fails fails for those who waited for it and for nobody else', async (t) => {
  const { find } = server()
  let queries = 0
  const together = findTogether(async (hashes) => {
    if (queries++ === 0) throw new Error('the connection broke')
    return await find(hashes)
  })
  const failed = [together(['a']), together(['b'])]
  for (const answer of failed) await t.rejects(async () => await answer, { message: 'the connection broke' })
  t.strictSame(await together(['a']), [found('a')])
})

t.test('a query is asked in nobody\'s context, and each answer comes back in its own', async (t) => {
  const tenant = new AsyncLocalStorage<string>()
  const askedIn: Array<string | undefined> = []
  const together = findTogether(async (hashes) => {
    askedIn.push(tenant.getStore())
    return hashes.map((hash) => found(hash))
  })
  const ask = async (name: string): Promise<string | undefined> => await tenant.run(name, async () => {
    await together([name])
    return tenant.getStore()
  })
  t.strictSame(await Promise.all([ask('a'), ask('b')]), ['a', 'b'])
  t.strictSame(askedIn, [undefined])
})
