// Requests whose end or whose lines are in doubt: what two parsers may read differently.
import { bytesOf, chunks, framed, withBody, withHeaders, type Message, type Twist } from '../message.js'

/** What a parser that reads the other way takes for a second request. */
const SMUGGLED = 'DELETE /v1/me/api-keys/key_00000000000000000000000000 HTTP/1.1\r\nHost: localhost\r\n\r\n'
const ENDED = `0\r\n\r\n${SMUGGLED}`

const raw = (change: (text: string) => string): Twist => (message) => Buffer.from(change(bytesOf(message).toString('latin1')), 'latin1')
/** The first header line in another way. */
const firstLine = (change: (line: string) => string): Twist => (message) => ({ ...message, headers: [change(message.headers[0]!), ...message.headers.slice(1)] })

/** Nobody can tell how long these are: each is refused before any route hears of it. */
export const AMBIGUOUS: Readonly<Record<string, Twist>> = {
  'a length and chunks': framed(['Content-Length: 6', 'Transfer-Encoding: chunked'], ENDED),
  'chunks and a length': framed(['Transfer-Encoding: chunked', 'Content-Length: 6'], ENDED),
  'chunks and a length, in odd case': framed(['tRANSFER-eNCODING: Chunked', 'cONTENT-lENGTH: 6'], ENDED),
  'two lengths': framed(['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
  'one length twice': framed(['Content-Length: 2', 'Content-Length: 2'], '{}'),
  'a list of lengths': framed(['Content-Length: 2, 2'], '{}'),
  'a length that is negative': framed(['Content-Length: -2'], '{}'),
  'a length with a sign': framed(['Content-Length: +2'], '{}'),
  'a length in hexadecimal': framed(['Content-Length: 0x2'], '{}'),
  'a length with a space in it': framed(['Content-Length: 2 2'], '{}'),
  'a length beyond 64 bits': framed(['Content-Length: 36893488147419103234'], '{}'),
  'a length that is a fraction': framed(['Content-Length: 2.0'], '{}'),
  'a length with a space before the colon': framed(['Content-Length : 2'], '{}'),
  'chunks with a space before the colon': framed(['Transfer-Encoding : chunked'], ENDED),
  'an encoding that nobody knows': framed(['Transfer-Encoding: xchunked'], ENDED),
  'an encoding that is no longer one': framed(['Transfer-Encoding: identity'], ENDED),
  'chunks that are not the last encoding': framed(['Transfer-Encoding: chunked, gzip'], ENDED),
  'two encodings in two lines': framed(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], ENDED),
  'chunks behind a vertical tab': framed(['Transfer-Encoding: \x0bchunked'], ENDED),
  'NUL in a header\'s name': withHeaders('X-\0Odd: 1'),
  'NUL in a header\'s value': withHeaders('X-Odd: 1\x002'),
  'a control character in a value': withHeaders('X-Odd: \x01\x1b[31m'),
  'a header without a colon': withHeaders('X-Odd'),
  'a header without a name': withHeaders(': odd'),
  'a space in a header\'s name': withHeaders('X Odd: 1'),
  'bytes beyond ASCII in a header\'s name': withHeaders('X-\xd6dd: 1'),
  'a first header line that is folded': firstLine((line) => ` ${line}`),
  'a carriage return alone between lines': raw((text) => text.replace('\r\n', '\r')),
  'two hosts in one line, by a carriage return': firstLine((line) => `${line}\rHost: elsewhere`),
  'a request line without a target': raw((text) => text.replace(/^(\S+) \S+/, '$1')),
  'a version that is none': (message) => ({ ...message, version: 'HTTP/x.y' }),
  'a method that nobody knows': (message) => ({ ...message, method: 'FETCH' }),
  'a method in lower case': (message) => ({ ...message, method: message.method.toLowerCase() }),
  'a method with NUL': (message) => ({ ...message, method: `${message.method}\0` }),
  'a target with a raw tab': (message) => ({ ...message, target: `${message.target}\t` }),
  'a target with NUL': (message) => ({ ...message, target: `${message.target}\0` }),
  'a greeting of TLS': () => Buffer.from('16030100c8010000c40303', 'hex'),
  'the preface of HTTP/2': () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  'nothing but noise': () => Buffer.from(Array.from({ length: 300 }, (_none, place) => (place * 37 + 128) % 256))
}

const inChunks = (encode: (body: Buffer) => string | Buffer, lines: readonly string[] = []): Twist =>
  (message) => ({ ...message, framing: ['Transfer-Encoding: chunked', ...lines], body: Buffer.from(encode(message.body)) })
const chunked = (message: Message): Buffer => chunks(message.body, 7)

/** Odd, and in part allowed: whatever the parser makes of them, nothing worse than a refusal may come of it. */
export const FRAMING: Readonly<Record<string, Twist>> = {
  'as it is meant': (message) => message,
  'in chunks': inChunks((body) => Buffer.concat([chunks(body, 7), Buffer.from('\r\n')])),
  'a byte a chunk': inChunks((body) => Buffer.concat([chunks(body, 1), Buffer.from('\r\n')])),
  'chunks with extensions': inChunks((body) => Buffer.concat([chunks(body, 5, ';name="va;lue";__proto__'), Buffer.from('\r\n')])),
  'chunks with an extension of 20 kB': inChunks((body) => Buffer.concat([chunks(body, 1000, `;${'x'.repeat(20_000)}`), Buffer.from('\r\n')])),
  trailers: (message) => framed(['Transfer-Encoding: chunked', 'Trailer: X-After'], Buffer.concat([chunked(message), Buffer.from('X-After: 1\r\n\r\n')]))(message),
  'trailers that say who calls, and how long it was': (message) =>
    framed(['Transfer-Encoding: chunked'], Buffer.concat([chunked(message), Buffer.from('Authorization: Bearer nobody\r\nX-API-Key: x\r\nContent-Length: 3\r\n__proto__: 1\r\n\r\n')]))(message),
  'a chunk size that is none': inChunks((body) => `zz\r\n${String(body)}\r\n0\r\n\r\n`),
  'a chunk size beyond 64 bits': inChunks((body) => `1000000000000000f\r\n${String(body)}\r\n0\r\n\r\n`),
  'a chunk size that is negative': inChunks((body) => `-1\r\n${String(body)}\r\n0\r\n\r\n`),
  'a chunk longer than it says': inChunks((body) => `1\r\n${String(body)}${String(body)}\r\n0\r\n\r\n`),
  'chunks that never end': inChunks((body) => chunks(body, 4)),
  'a length greater than the body': (message) => framed([`Content-Length: ${message.body.length + 40}`], message.body)(message),
  'a length smaller than the body': (message) => framed(['Content-Length: 1'], Buffer.concat([message.body, Buffer.from(SMUGGLED)]))(message),
  'an empty length': framed(['Content-Length: '], ''),
  'a second request behind a body that says it is empty': framed(['Content-Length: 0'], SMUGGLED),
  'a body that has a request in it': framed([`Content-Length: ${SMUGGLED.length}`], SMUGGLED),
  'a line feed alone between lines': raw((text) => text.replaceAll('\r\n', '\n')),
  'a header line that is folded': withHeaders('X-Folded: one', '\ttwo', ' three'),
  'a credential that is folded': withHeaders('Authorization: Bearer', ' nobody'),
  'blank lines before it': raw((text) => `\r\n\r\n${text}`),
  'white space around values': (message) => ({ ...message, headers: message.headers.map((line) => line.replace(': ', ':\t   ') + ' \t') }),
  'headers in odd case': (message) => ({ ...message, headers: message.headers.map((line) => line.replace(/^[^:]+/, (name) => [...name].map((letter, place) => place % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase()).join(''))) }),
  'HTTP/1.0': (message) => ({ ...message, version: 'HTTP/1.0' }),
  'HTTP/1.0 without a host, and to be kept open': (message) => ({ ...message, version: 'HTTP/1.0', headers: ['Connection: keep-alive', ...message.headers.slice(1)] }),
  'HTTP/1.0 in chunks': (message) => ({ ...framed(['Transfer-Encoding: chunked'], Buffer.concat([chunked(message), Buffer.from('\r\n')]))(message) as Message, version: 'HTTP/1.0' }),
  'HTTP/0.9': (message) => Buffer.from(`GET ${message.target}\r\n`),
  'a request line without a version': raw((text) => text.replace(' HTTP/1.1', '')),
  'a version of another protocol': (message) => ({ ...message, version: 'RTSP/1.0' }),
  'HTTP/1.2': (message) => ({ ...message, version: 'HTTP/1.2' }),
  'HTTP/2.0 as text': (message) => ({ ...message, version: 'HTTP/2.0' }),
  'as TRACE': (message) => ({ ...message, method: 'TRACE' }),
  'as PUT': (message) => ({ ...message, method: 'PUT' }),
  'as PROPFIND': (message) => ({ ...message, method: 'PROPFIND' }),
  'as CONNECT': (message) => ({ ...message, method: 'CONNECT', target: 'localhost:443' }),
  'as CONNECT of its own path': (message) => ({ ...message, method: 'CONNECT' }),
  'as OPTIONS of everything': (message) => ({ ...message, method: 'OPTIONS', target: '*' }),
  'as a preflight': (message) => ({ ...message, method: 'OPTIONS', headers: [...message.headers, 'Origin: https://elsewhere.example', 'Access-Control-Request-Method: PATCH'] }),
  'as a preflight with a body': (message) => withBody('{"a":')({ ...message, method: 'OPTIONS', headers: [...message.headers, 'Origin: null', 'Access-Control-Request-Method: '] }),
  'as HEAD': (message) => ({ ...message, method: 'HEAD' }),
  'twice at once': (message) => Buffer.concat([bytesOf(message), bytesOf(message)]),
  'nothing but blank lines': () => Buffer.from('\r\n\r\n\r\n')
}
