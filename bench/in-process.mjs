// What verification itself costs, without HTTP: by how the key is found, by the number of keys, and beside Better Auth.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { selfServeKeys } from 'fastify-self-serve-keys'
import { kyselyStorage } from 'fastify-self-serve-keys/kysely'
import { betterAuthVerification, seedBetterAuth } from './support/better-auth.mjs'
import { linesOf, measureCalls } from './support/calls.mjs'
import { fixed, median, spread } from './support/figures.mjs'
import { seedKeys } from './support/seeded-keys.mjs'
import { options, rateLimit } from './support/servers.mjs'

const SIZES = [1000, 10_000, 100_000, 1_000_000]
const MALFORMED = 'malformed key'
const BETTER_AUTH = 'Better Auth, verifyApiKey, 1 000 keys'
const held = (size) => `${fixed(size, 0)} keys, held in memory`
const asked = (size) => `${fixed(size, 0)} keys, maxDelay: 0`

async function ours (storage, more) {
  const app = Fastify()
  await app.register(selfServeKeys, { ...options, storage, usage: false, rateLimit, ...more })
  return app.selfServeKeys.verify
}

const requirement = { scopes: ['blocks:read'] }
const isGood = ({ ok }) => ok

/** Keys that are held longer than the run takes: each is asked for once, before anything is measured. */
async function heldKeys ({ file, keys }) {
  const lines = linesOf(readFileSync(keys))
  const verify = await ours(kyselyStorage({ file }), {
    keys: { ...options.keys, cacheSize: 2 * lines.count + 2 }, revocation: { maxDelay: '1 hour' }
  })
  for (let i = 0; i < lines.count; i++) await verify(lines.at(i))
  return { call: (key) => verify(key, requirement), samples: lines.samples, isRight: isGood }
}

async function askedKeys ({ file, keys }) {
  const { samples } = linesOf(readFileSync(keys))
  const verify = await ours(kyselyStorage({ file }))
  return { call: (key) => verify(key, requirement), samples, isRight: isGood }
}

/** Of the right length and letters, and one of them wrong: only the checksum tells. */
async function malformedKeys ({ file, keys }) {
  const { samples } = linesOf(readFileSync(keys))
  const storage = kyselyStorage({ file })
  let storageCalls = 0
  const counting = { ...storage, findKeyByHash (digests) { storageCalls++; return storage.findKeyByHash(digests) } }
  const verify = await ours(counting)
  await verify(samples(1)[0])
  if (storageCalls !== 1) throw new Error('The storage that counts is not asked.')
  storageCalls = 0
  return {
    call: (key) => verify(key, requirement),
    samples: (count) => samples(count).map((key) => Buffer.from(key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')).latin1Slice()),
    isRight: ({ ok, code }) => !ok && code === 'INVALID_API_KEY',
    counters: () => ({ storageCalls })
  }
}

export const variants = {
  [MALFORMED]: malformedKeys,
  ...Object.fromEntries(SIZES.flatMap((size) => [[held(size), heldKeys], [asked(size), askedKeys]])),
  [BETTER_AUTH]: async ({ file, keys }) => ({
    call: betterAuthVerification(file), samples: linesOf(readFileSync(keys)).samples, isRight: ({ valid }) => valid
  })
}

export default {
  about: 'app.selfServeKeys.verify with a scope, in process, CPU µs a call: one pepper, SQLite by file, keys at random, each as text that is new; held: maxDelay 1 hour and keys.cacheSize for all of them.',

  async run ({ folder, rounds = 9, profile, note }) {
    const seeds = new Map()
    for (const size of SIZES) {
      note(`making ${fixed(size, 0)} keys`)
      const { file, credentials } = await seedKeys(folder, size)
      seeds.set(size, { file, keys: credentials.file })
    }
    const betterAuth = await seedBetterAuth(folder, 1000)
    const results = await measureCalls({
      profile,
      note,
      rounds,
      file: import.meta.filename,
      cases: [
        { name: MALFORMED, context: seeds.get(100_000), calls: 100_000 },
        ...SIZES.flatMap((size) => [
          // A million keys held are more than the heap that Node allows itself by default.
          { name: held(size), context: seeds.get(size), calls: 50_000, nodeOptions: ['--max-old-space-size=8192'] },
          { name: asked(size), context: seeds.get(size), calls: 10_000 }
        ]),
        { name: BETTER_AUTH, context: { file: betterAuth.file, keys: betterAuth.credentials.file }, calls: 200 }
      ]
    })
    const cpuOf = (name) => results.get(name).map(({ cpu }) => cpu)
    const of = (name) => median(cpuOf(name))
    const { storageCalls } = results.get(MALFORMED).at(-1)
    const most = held(SIZES.at(-1))
    const series = [['held in memory', held], ['maxDelay: 0', asked]]
    return {
      tables: [
        {
          title: 'verify, CPU µs a call',
          columns: ['median', 'min', 'max'],
          rows: [...results.keys()].map((name) => [name, spread(cpuOf(name), 2)])
        },
        { title: 'Storage asked', columns: ['times'], rows: [[MALFORMED, [String(storageCalls)]]] }
      ],
      bars: [
        { bar: MALFORMED, value: of(MALFORMED), unit: 'CPU µs a call', most: 0.5 },
        { bar: `${MALFORMED}, storage calls`, value: storageCalls, unit: 'calls', most: 0 },
        { bar: held(100_000), value: of(held(100_000)), unit: 'CPU µs a call', most: 2.5 },
        { bar: `${most}, against 100 000`, value: of(most) / of(held(100_000)), unit: '×', most: 2 }
      ],
      charts: [{
        name: 'in-process',
        title: 'verify in process, by number of keys',
        x: { label: 'keys', values: SIZES, log: true },
        y: { label: 'CPU µs a call' },
        series: series.map(([name, caseOf]) => ({ name, values: SIZES.map((size) => of(caseOf(size))) }))
      }]
    }
  }
}
