// Judges what a host answered: no failure of its own, nothing told that is nobody's business, and every answer as its route promises. Pure.
import { readAnswers, type Answer } from './answers.js'
import type { Exchange } from './sender.js'
import type { World } from './world.js'

const STACK = /\n\s+at \S+ \(|\bnode:internal\b|\.[cm]?[jt]s:\d+:\d+/
/** Statuses that a challenge belongs to: RFC 9110 §11.6.1. */
const UNAUTHORIZED = 401

/** Of a request that nobody can tell the length of. @returns what is wrong: the parser is to refuse it, and nobody else to see it */
export function faultsOfAmbiguous ({ received }: Exchange): string[] {
  return readAnswers(received).answers
    .filter(({ status, headers }) => headers.has('x-method') || ![400, 408].includes(status))
    .map(({ status, headers }) => `${status} to ${headers.get('x-method')} ${headers.get('x-route')}: it was let in`)
}

/** @returns what is wrong, in words; nothing: all is well */
export function faultsOf ({ plan, received, end }: Exchange, world: World): string[] {
  const { answers, fault, rest } = readAnswers(received)
  const found = answers.flatMap((answer) => faultsOfAnswer(answer, world))
  if (fault !== null) found.push(`is no HTTP: ${fault}`)
  if (end === 'left') found.push('the connection is left behind')
  if (end === 'refused') found.push('nobody listens')
  if (rest > 0 && fault === null && end === 'closed' && plan.then === 'reads') found.push(`the last answer broke off after ${rest} bytes`)
  return found
}

function faultsOfAnswer ({ status, headers, body }: Answer, { secrets }: World): string[] {
  const found: string[] = []
  const expect = (holds: boolean, what: string): void => {
    if (!holds) found.push(`${status} to ${headers.get('x-method')} ${headers.get('x-route')}: ${what}`)
  }
  const text = body.toString('latin1')
  const excerpt = text.slice(0, 300)
  const head = [...headers.values()].join('\n')

  expect(status < 500, `a failure of its own: ${excerpt}`)
  if (isSecret(headers)) expect(headers.get('cache-control') === 'no-store', `Cache-Control is ${headers.get('cache-control')}`)
  expect(status !== UNAUTHORIZED || /^Bearer realm="api"/.test(headers.get('www-authenticate') ?? ''), 'no challenge')
  expect(status !== 429 || /^\d+$/.test(headers.get('retry-after') ?? ''), 'it does not say when to try again')
  expect(!STACK.test(text), `a stack: ${excerpt}`)
  const told = secrets.find((secret) => text.includes(secret) || head.includes(secret))
  expect(told === undefined, `it tells ${told}`)
  if (headers.get('content-type')?.startsWith('application/json') === true && body.length > 0) expect(isJson(body), 'the body is no JSON')
  return found
}

/** Is it an answer that no cache may keep, an error like any other: of an account route, or with a session's token? */
function isSecret (headers: Answer['headers']): boolean {
  return /^\/(v1\/me(\/|$)|api-key\/token$)/.test(headers.get('x-route') ?? '')
}

function isJson (body: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return true
  } catch {
    return false
  }
}
