// What is sent on purpose: the whole corpus on every route, and clients that are slow, silent or never listen.
import { AMBIGUOUS, CORPUS } from './corpus/index.js'
import { bytesOf, type Twist } from './message.js'
import { CREDENTIALS, requestOf, ROUTES, turnOf, type Credential } from './requests.js'
import type { Plan } from './sender.js'
import type { Attacker, World } from './world.js'

/**
 * Ends an exchange: it asks for the connection to be closed. Long enough to fill up a body that was announced a little too long,
 * and what is left of it then is no request.
 */
export const LAST = Buffer.from(['GET /connections HTTP/1.1', 'Host: localhost', 'Connection: close', `X-Padding: ${'.'.repeat(2000)}`, '', ''].join('\r\n'))

/** With `LAST`, unless the connection ends with these bytes anyway: what follows such a request takes its answer away. */
export function andLast (bytes: Buffer): Buffer[] {
  const head = bytes.toString('latin1', 0, Math.max(0, bytes.indexOf('\r\n\r\n')))
  return /^[^\r\n]* HTTP\/(?!1\.1\r)|^connection:[ \t]*close/im.test(head) ? [bytes] : [bytes, LAST]
}

const EVERY_CREDENTIAL = Object.keys(CREDENTIALS) as Credential[]

/** These requests on every route, from everybody. @param share 1: all of them; 4: a quarter, in which each is on each route */
export function * crafted (requests: Readonly<Record<string, Twist>>, world: World, seed: string, share = 1): Generator<Plan> {
  let number = 0
  for (const [index, [name, twist]] of Object.entries(requests).entries()) {
    for (const [place, route] of ROUTES.entries()) {
      for (const [turn, credential] of EVERY_CREDENTIAL.entries()) {
        number++
        if ((turn + place + index) % share !== 0) continue
        const { attacker, random } = turnOf(world, `crafted ${number} of ${seed}`)
        const message = requestOf(route, attacker, CREDENTIALS[credential](attacker), random)
        yield { name: `${name}, ${route.method} ${route.path}, ${credential}`, pieces: andLast(bytesOf(twist(message))), then: 'reads' }
      }
    }
  }
}

export const ambiguous = (world: World, seed: string, share?: number): Generator<Plan> => crafted(AMBIGUOUS, world, seed, share)
export const odd = (world: World, seed: string, share?: number): Generator<Plan> =>
  crafted(Object.fromEntries(Object.entries(CORPUS).filter(([name]) => !Object.hasOwn(AMBIGUOUS, name))), world, seed, share)

/** Clients that hold a connection for as long as they may, so many of each kind. */
export function holding ({ token, key }: Attacker, times: number): Plan[] {
  const head = `POST /v1/me/api-keys HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n`
  const json = `${head}Content-Type: application/json\r\n`
  const beginnings = {
    nothing: '',
    'half a request line': 'POST /v1/me',
    'a head without its end': head,
    'a header line without its end': `${head}X-Slow: 1`,
    'half a body': `${json}Content-Length: 100\r\n\r\n{"label":`,
    'half a chunk': `${json}Transfer-Encoding: chunked\r\n\r\n20\r\n{"label":`,
    'a body that was asked for and never comes': `${json}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n`,
    'an answer, and then half a request': `GET /v1/blocks HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\n\r\nGET /v1/bl`,
    'an answer, and then nothing': `GET /v1/blocks HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\n\r\n`
  }
  const silent = Object.entries(beginnings).flatMap(([name, beginning]) => Array.from({ length: times }, (): Plan =>
    ({ name: `sends ${name}`, pieces: [Buffer.from(beginning)], then: 'reads' })))
  const dripping = Array.from({ length: times }, (): Plan =>
    ({ name: 'sends a head, a blank at a time', pieces: [Buffer.from(`${head}X-Slow:`)], then: 'drips' }))
  return [...silent, ...dripping]
}

/** The same page many times: some ten megabytes. */
export const MUCH = Buffer.concat(Array.from({ length: 200 }, () => Buffer.from('GET /api-key/element.js HTTP/1.1\r\nHost: localhost\r\n\r\n')))
