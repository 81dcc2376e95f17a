// Origins: the form in which they are kept, and whether the origin of a request is one of them.

/** Longest pattern that is kept: a host name has at most 253 characters. */
const MAX_LENGTH = 300

/**
 * The normal form of an origin or of a pattern with one wildcard label, such as `https://*.example.com`; null if it is
 * neither. A wildcard stands for exactly one label, and two labels at least follow it.
 */
export function parseOrigin (text: unknown): string | null {
  if (typeof text !== 'string' || text.length > MAX_LENGTH) return null
  const match = /^(https?:\/\/)(\*\.)?([^*/?#@\\\s\p{Cc}]+)\/?$/iu.exec(text)
  if (match === null) return null
  const [, scheme, wildcard = '', host] = match as unknown as [string, string, string | undefined, string]
  if (!URL.canParse(scheme + host)) return null
  const url = new URL(scheme + host)
  // IP addresses have no labels; one label would be a whole top-level domain.
  if (wildcard !== '' && (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(url.hostname) || /\.\d+$/.test(url.hostname))) return null
  // `%2a` and its full-width form become a star only here; an empty label is no host.
  return /\*|^\.|\.\./.test(url.hostname) ? null : `${url.protocol}//${wildcard}${url.host}`
}

/** Is the value of an `Origin` header one of these, which are in their normal form? `null` is none. */
export function matchesOrigin (origin: string, allowed: readonly string[]): boolean {
  // What a browser sends is in normal form; what is not comes from no browser.
  if (origin.includes('*') || parseOrigin(origin) !== origin) return false
  const schemeEnd = origin.indexOf('//') + 2
  const dot = origin.indexOf('.', schemeEnd)
  return allowed.includes(origin) || (dot > schemeEnd && allowed.includes(`${origin.slice(0, schemeEnd)}*${origin.slice(dot)}`))
}
