// Requests for odd places: paths that mean another one to somebody, and queries that nobody asked for.
import { withQuery, withTarget, type Twist } from '../message.js'

const PATHS: Readonly<Record<string, (target: string) => string>> = {
  'absolute form': (target) => `http://localhost${target}`,
  'absolute form, of another host': (target) => `https://user:pass@elsewhere.example:99999${target}`,
  'absolute form, of another scheme': (target) => `ftp://localhost${target}`,
  'a path without its slash': (target) => target.slice(1),
  'a path of another host': (target) => `//elsewhere.example${target}`,
  'a path that goes up': (target) => `/v1/../v1/me/..${target}`,
  'a path that goes up, encoded': (target) => `/%2e%2e/%2E%2e%2f..${target}`,
  'a path that goes up, in bytes that UTF-8 forbids': (target) => `${target}/%c0%ae%c0%ae%c0%af`,
  'slashes twice': (target) => target.replaceAll('/', '//'),
  'a slash at the end': (target) => target.replace(/(?=\?|$)/, '/'),
  'slashes the other way': (target) => target.replaceAll('/', '\\'),
  'slashes that are encoded': (target) => target.replaceAll('/', '%2F'),
  'a path in capitals': (target) => target.toUpperCase(),
  'a path that is encoded throughout': (target) => target.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  'a path that is encoded twice': (target) => target.replace(/[a-z]/g, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  'a percent sign alone': (target) => `${target}%`,
  'a percent sign with no number': (target) => target.replace('/', '/%zz'),
  'an encoded NUL': (target) => target.replace(/(?=\?|$)/, '%00'),
  'an encoded line end': (target) => target.replace(/(?=\?|$)/, '%0d%0aSet-Cookie:%20a=b'),
  'parameters of a path': (target) => target.replace(/(?=\?|$)/, ';jsessionid=1;__proto__'),
  'a fragment': (target) => `${target}#__proto__`,
  'odd bytes': (target) => target.replace(/(?=\?|$)/, '\xc0\xae\xed\xa0\x80\xff'),
  'an id that is a name of every object': (target) => target.replace(/(key|site)_\w{26}/, '__proto__'),
  'an id in lower case': (target) => target.replace(/(key|site)_\w{26}/, (id) => id.toLowerCase()),
  'an id with a wildcard': (target) => target.replace(/(key|site)_\w{26}/, (id) => `${id.slice(0, -1)}%25`),
  'an id with a quote': (target) => target.replace(/(key|site)_\w{26}/, (id) => `${id}'%20or%201=1--`),
  'an id of 101 characters': (target) => target.replace(/(key|site)_\w{26}/, 'k'.repeat(101)),
  'an id of 100 characters beyond ASCII': (target) => target.replace(/(key|site)_\w{26}/, '%f0%9f%94%91'.repeat(50)),
  'an id that is empty': (target) => target.replace(/(key|site)_\w{26}/, ''),
  'a path of 8 kB': (target) => `${target}/${'a/'.repeat(4000)}`,
  'a path of 17 kB': (target) => `${target}/${'a'.repeat(17_000)}`
}

const QUERIES: Readonly<Record<string, string>> = {
  'an empty query': '',
  'a query of separators': '&&==&=&?',
  'a parameter twice': 'limit=1&limit=2&environment=live&environment=test&window=1h&window=24h',
  'names of every object in a query': '__proto__=1&constructor=2&hasOwnProperty=3',
  'names of every object in brackets': '__proto__[admin]=1&constructor[prototype][admin]=1&limit[]=5',
  'a limit beyond all numbers': 'limit=1e400&offset=99999999999999999999',
  'an offset as far as it goes': 'limit=100&offset=999999999999999',
  'a limit that is none': 'limit=0x10&offset=-1',
  'an offset of digits beyond ASCII': 'offset=%D9%A1',
  'a window of every object': 'window=__proto__',
  'a status of every object': 'status=constructor&environment=toString',
  'a search with NUL': 'search=%00',
  'a search of wildcards': 'search=%25%5F%5C&limit=1',
  'a search of half a character': 'search=%ed%a0%80%ff',
  'a search of 10 kB': `search=${'a'.repeat(10_000)}`,
  'a page before nothing': 'before=',
  'a page before 100 odd characters': `before=${'%f0%9f%94%91'.repeat(100)}`,
  'a page before every object': 'before=__proto__',
  'a thousand parameters': Array.from({ length: 1000 }, (_none, place) => `p${place}=${place}`).join('&'),
  'a credential in the query': 'api_key=acme_sk_live_x&access_token=x&session=x'
}

export const TARGETS: Readonly<Record<string, Twist>> = Object.fromEntries([
  ...Object.entries(PATHS).map(([name, change]) => [name, withTarget(change)] as const),
  ...Object.entries(QUERIES).map(([name, query]) => [name, withQuery(query)] as const)
])
