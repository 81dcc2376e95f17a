// Who may do what: every method on every route with every credential, against rules in words and against a table that is read.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Storage } from '../../lib/index.js'
import type { PlainAnswer } from '../helpers/raw-connection.js'
import { ACCOUNT_IDS, BOTH, marksOf, putBack, SECRETS, stateOf, type State, type Who } from './matrix/accounts.js'
import { CREDENTIALS, TOKENS, type Credential } from './matrix/credentials.js'
import { hostOf, WAYS, type Way } from './matrix/host.js'
import { expectedOf, type HostKind } from './matrix/rule.js'
import { Cells, LEGEND, tableText } from './matrix/table.js'
import { METHODS, TARGETS, type Method, type Target } from './matrix/targets.js'
import { challengeOf, shown, wordOf } from './matrix/words.js'

const FILE = join(import.meta.dirname, 'authorisation-matrix.txt')
const HOSTS: Readonly<Record<string, HostKind>> = {
  'as it comes': { keysOpenAccountRoutes: false, cookiesMayChange: false },
  'account routes opened to keys': { keysOpenAccountRoutes: true, cookiesMayChange: false },
  'cookies may make changes': { keysOpenAccountRoutes: false, cookiesMayChange: true }
}

/** On routes that take keys alone or nobody, what these hosts chose has no say. */
function targetsOf ({ keysOpenAccountRoutes, cookiesMayChange }: HostKind): readonly Target[] {
  if (!keysOpenAccountRoutes && !cookiesMayChange) return TARGETS
  return TARGETS.filter((target) => target.lane !== 'host' || (target.rule !== null && target.rule !== 'malformed' && target.rule.session === true))
}

/** What both accounts have. */
async function statesOf (storage: Storage): Promise<Record<Who, State>> {
  return { A: await stateOf(storage, 'A'), B: await stateOf(storage, 'B') }
}

const MARKS: Readonly<Record<Who, readonly string[]>> = { A: [...marksOf('A'), TOKENS.A], B: [...marksOf('B'), TOKENS.B] }
const holds = (text: string, parts: readonly string[]): boolean => parts.some((part) => text.includes(part))

/** Whose an answer is, by what it shows and by what it changed. */
function whoseAnswer (answer: PlainAnswer, target: Target, changed: readonly Who[]): string {
  if (answer.body === '') return changed.join()
  if (target.lane === 'host') {
    const { via, accountId } = JSON.parse(answer.body) as { via: string, accountId?: string }
    return accountId === undefined ? via : `${via} ${BOTH.find((who) => ACCOUNT_IDS[who] === accountId)}`
  }
  return BOTH.filter((who) => changed.includes(who) || holds(answer.body, MARKS[who])).join()
}

/** The Cache-Control that answers must have, refusals included. */
function cacheControlOf (target: Target, method: Method): string | undefined {
  const reads = method === 'GET' || method === 'HEAD'
  if (target.lane === 'token') return reads ? 'no-store' : undefined
  if (target.lane === 'page') return reads ? 'no-cache' : undefined
  if (target.lane === 'account') return method === 'OPTIONS' || target.acts[reads ? 'GET' : method] !== undefined ? 'no-store' : undefined
  return target.rule !== null && target.rule !== 'malformed' ? 'private' : undefined
}

const A_PLAINTEXT_KEY = /[ps]k_(?:live|test)_[0-9A-Za-z]{42}/g

/** What is wrong with an answer beyond what its word says. */
function faultsOf (answer: PlainAnswer, target: Target, method: Method, word: string): string[] {
  const { status, headers } = answer
  // Fastify's own 404 repeats the URL.
  const body = answer.body.replace(/Route .+ not found/, '')
  const faults: string[] = []
  const must = (isSo: boolean, fault: string): void => { if (!isSo) faults.push(fault) }
  const challenge = headers['www-authenticate']
  must(challenge === challengeOf(word), `challenge ${challenge}`)
  must(status !== 401 || challenge !== undefined, 'a 401 without a challenge')
  must(method !== 'HEAD' || body === '', 'a body')
  const control = cacheControlOf(target, method)
  if (target.lane !== 'host' || target.only === undefined) must(headers['cache-control'] === control, `cache-control ${headers['cache-control']}`)
  // The host's own handlers tell the account.
  if (target.lane !== 'host' || status >= 400) must(!holds(`${JSON.stringify(headers)}${body}`, SECRETS), 'it shows what nobody may see')
  if (status >= 400) must(!holds(body, [...MARKS.A, ...MARKS.B]), 'the refusal shows what there is')
  const makesKey = target.lane === 'account' && ['issue default', 'issue named', 'rotate'].includes(target.acts[method] ?? '') && status === 201
  must((body.match(A_PLAINTEXT_KEY) ?? []).length === (makesKey ? 1 : 0), 'not the one new plaintext key, where a key is made')
  return faults
}

/** Asks every cell, and answers what each says. Each begins with the same state. */
async function walk (t: Test, kind: HostKind, way: Way): Promise<Cells> {
  const { app, storage } = await hostOf(t, kind)
  const ask = await way(t, app)
  const cells = new Cells()
  /** What was answered of things that are not there, or not the caller's. */
  const absent = new Map<string, string>()
  await putBack(storage)
  let before = await statesOf(storage)

  const judge = async (target: Target, method: Method, credential: Credential): Promise<string[]> => {
    const answer = await ask(target, method, credential)
    const after = await statesOf(storage)
    const expected = expectedOf(kind, target, method, credential)
    const changed = BOTH.filter((who) => after[who].text !== before[who].text)
    const word = shown(method, method === 'HEAD' ? String(answer.status) : wordOf(answer, whoseAnswer(answer, target, changed)))
    cells.set(target.name, credential.name, method, word)

    const faults = faultsOf(answer, target, method, expected.word)
    if (word !== shown(method, expected.word)) faults.push(`${word} in place of ${expected.word}`)
    if (String(changed) !== String(expected.changes ?? '')) faults.push(`changed: ${String(changed)}`)
    for (const who of BOTH) if (after[who].entries - before[who].entries !== (who === expected.changes ? 1 : 0)) faults.push(`audit entries of ${who}`)
    if (/^404 no such/.test(word)) {
      const place = `${target.name.replace(/\{.*\}/, '')} ${method} ${credential.name}`
      const text = JSON.stringify({ ...answer, headers: { ...answer.headers, date: '' } })
      if (text !== (absent.get(place) ?? text)) faults.push('not as where nothing is')
      absent.set(place, text)
    }
    if (changed.length > 0) {
      await putBack(storage)
      before = await statesOf(storage)
    }
    return faults
  }

  for (const target of targetsOf(kind)) {
    const faults: string[] = []
    for (const credential of CREDENTIALS) {
      for (const method of METHODS) faults.push(...(await judge(target, method, credential)).map((fault) => `${method} with ${credential.name}: ${fault}`))
    }
    t.strictSame(faults, [], target.name)
  }
  return cells
}

t.test('every cell is as the rules say, and as the table says', async (t) => {
  const pages = [LEGEND]
  let standard: Cells | null = null
  for (const [name, kind] of Object.entries(HOSTS)) {
    const walks: Cells[] = []
    for (const [way, opened] of Object.entries(WAYS)) {
      await t.test(`a host ${name}, ${way}`, async (t) => { walks.push(await walk(t, kind, opened)) })
    }
    const [injected, overSocket] = walks.map((cells) => tableText(cells, standard))
    t.equal(overSocket, injected, `a host ${name} answers the same both ways`)
    pages.push(`## A host ${name}${standard === null ? '' : ': what is not as above'}\n\n${injected}`)
    standard ??= walks[0]!
  }
  const text = pages.join('\n')
  if (process.env.WRITE_MATRIX !== undefined) writeFileSync(FILE, text)
  t.equal(text, readFileSync(FILE, 'utf8'), 'the table is as it was read last: WRITE_MATRIX=1 writes it anew')
})
