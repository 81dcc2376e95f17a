// Requests with odd bodies, whatever the method: JSON that is deep, long, ambiguous or none, and members that mean something elsewhere.
import { gzipSync } from 'node:zlib'
import { withBody, withHeaders, type Message, type Twist } from '../message.js'

/** Adds members, as text, to the JSON of the body. */
const withMembers = (members: string): Twist => (message) => {
  const inside = String(message.body).slice(1, -1)
  return withBody(`{${inside}${inside === '' ? '' : ','}${members}}`)(message)
}
const member = (name: string, value: string): Twist => withMembers(`"${name}":${value}`)
const nested = (open: string, close: string, depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`

export const BODIES: Readonly<Record<string, Twist>> = {
  'no body under JSON\'s content type': withBody(''),
  blanks: withBody(' \r\n\t'),
  null: withBody('null'),
  true: withBody('true'),
  'a number': withBody('-0'),
  'a text': withBody('"__proto__"'),
  'a list': withBody('[{"label":"x"}]'),
  'an object of nothing': withBody('{}'),
  'half of it': (message) => withBody(message.body.subarray(0, Math.ceil(message.body.length / 2)))(message),
  'something behind it': (message) => withBody(Buffer.concat([message.body, Buffer.from('{}//')]))(message),
  'a byte order mark before it': (message) => withBody(Buffer.concat([Buffer.from('\ufeff'), message.body]))(message),
  'UTF-16': (message) => withBody(Buffer.from(`\ufeff${String(message.body)}`, 'utf16le'))(message),
  'bytes that UTF-8 forbids': withBody(Buffer.from('{"label":"\xc0\xae\xed\xa0\x80\xff","name":"\xf8"}', 'latin1')),
  'half a character': member('label', '"\\ud800"'),
  'half a character as a name': withMembers('"\\udfff":1'),
  'NUL in a text': member('label', '"a\\u0000b"'),
  'NUL itself': withBody('{"label":"a\0b"}'),
  'a member __proto__': withMembers('"__proto__":{"admin":true,"scopes":null}'),
  'a member __proto__, written in escapes': withMembers('"\\u005f_proto__":{"admin":true}'),
  'a member constructor': withMembers('"constructor":{"prototype":{"admin":true}}'),
  'members of every object': withMembers('"toString":1,"valueOf":2,"hasOwnProperty":3,"then":4,"toJSON":5'),
  'a member twice': withMembers('"label":"first","label":"second","environment":"test","environment":"live"'),
  'members that are the host\'s to give': withMembers('"accountId":"untouched","metadata":{"plan":"gold"},"isDefault":true,"publicId":"key_0","disabledBy":null'),
  'a number beyond all numbers': member('overlapSeconds', '1e400'),
  'a number that is nearly none': member('overlapSeconds', '1e-400'),
  'a number as great as can be': member('overlapSeconds', '1.7976931348623157e308'),
  'a number of a thousand digits': member('overlapSeconds', '9'.repeat(1000)),
  'a number that is negative': member('overlapSeconds', '-1'),
  'a label of nothing': member('label', '""'),
  'a label of 100 characters beyond the BMP': member('label', `"${'🔑'.repeat(100)}"`),
  'a label of 15 000': member('label', `"${'x'.repeat(15_000)}"`),
  'a label that is an object': member('label', '{"length":1}'),
  'a label that is SQL, a wording and a path': member('label', '"\'; drop table api_keys; -- {name} {id} $1 %s ../../etc/passwd"'),
  'scopes of every object': member('scopes', '["__proto__","constructor"]'),
  'a scope many times': member('scopes', JSON.stringify(Array.from({ length: 1000 }, () => 'blocks:read'))),
  'scopes that hold something else': member('scopes', '[null,1,{},[]]'),
  'no scopes': member('scopes', '[]'),
  'origins that are none': member('allowedOrigins', '["null","https://","javascript:alert(1)","https://*.*.example.com","https://[::1","https://\\u0130.example"]'),
  'addresses that are none': member('allowedIps', '["::ffff:1.2.3.4/96","1.2.3.4/33","0x7f.1","fe80::1%eth0","1.2.3.4/00"]'),
  'addresses of everybody': member('allowedIps', '["0.0.0.0/0","::/0"]'),
  'an end that is no day': member('expiresAt', '"2027-02-30T00:00:00Z"'),
  'an end beyond all days': member('expiresAt', '"+275760-09-13T00:00:00.001Z"'),
  'an end in a leap second': member('expiresAt', '"2030-12-31T23:59:60Z"'),
  'an end in the year 0': member('expiresAt', '"0000-01-01T00:00:00Z"'),
  'an end that is a number': member('expiresAt', '1e21'),
  'a site that is none': withBody('{"name":"https://user:pass@example.com:99999/path?#"}'),
  'a site beyond ASCII': withBody('{"name":"https://b\u00fccher.example\u3002com"}'),
  'a site of 15 000': withBody(`{"name":"https://${'a.'.repeat(7000)}example.com"}`),
  'lists that are 100 000 deep': withBody(nested('[', ']', 100_000)),
  'objects that are 100 000 deep': withBody(nested('{"a":', '}', 100_000)),
  'a label that is 4000 deep': member('label', nested('[', ']', 4000)),
  'a member that is 500 deep': member('extra', nested('{"__proto__":', '}', 500)),
  'a thousand members': withMembers(Array.from({ length: 1000 }, (_none, place) => `"m${place}":${place}`).join()),
  '16 kB and a byte': withBody(`{"label":"${'x'.repeat(16 * 1024 + 1 - 12)}"}`),
  '1 MB and a byte': withBody(`{"label":"${'x'.repeat(1024 * 1024 + 1 - 12)}"}`),
  compressed: (message) => withBody(gzipSync(message.body))(withHeaders('Content-Encoding: gzip')(message) as Message),
  '1 MB, compressed to 1 kB': (message) => withBody(gzipSync(Buffer.alloc(1024 * 1024, '{"a":')))(withHeaders('Content-Encoding: gzip, br')(message) as Message)
}
