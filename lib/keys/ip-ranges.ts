// Ranges of addresses in CIDR notation (RFC 4632, RFC 4291 §2.3): their normal form, and whether one holds an address or another.
import { BlockList, isIP, SocketAddress } from 'node:net'

type Family = 'ipv4' | 'ipv6'
interface Range { readonly address: string, readonly bits: number, readonly family: Family }

/** The normal form of an address or a range, `203.0.113.0/24`; null if it is neither. Bits behind the prefix are refused. */
export function parseRange (text: unknown): string | null {
  if (typeof text !== 'string' || text.length > 64) return null
  const match = /^([0-9a-fA-F.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text)
  const version = match === null ? 0 : isIP(match[1]!)
  if (match === null || version === 0) return null
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const most = version === 4 ? 32 : 128
  const bits = match[2] === undefined ? most : Number(match[2])
  const { address } = new SocketAddress({ address: match[1]!, family })
  // An IPv4 address written as IPv6 is judged as IPv4, where its range would mean something else.
  if (bits > most || (family === 'ipv6' && address.includes('.'))) return null
  return bits === most || isNetwork(address, bits, family) ? `${address}/${bits}` : null
}

/** Is the address in one of these ranges, which are in their normal form? */
export function inRanges (ip: string | undefined, ranges: readonly string[]): boolean {
  const address = unmapped(ip ?? '')
  const version = isIP(address)
  if (version === 0) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  return ranges.map(readRange).some((range) => range.family === family && holds(range, address))
}

/** Does one of `outer` hold all of `inner`? */
export function isWithin (inner: string, outer: readonly string[]): boolean {
  const { address, bits, family } = readRange(inner)
  return outer.map(readRange).some((range) => range.family === family && range.bits <= bits && holds(range, address))
}

function readRange (text: string): Range {
  const slash = text.indexOf('/')
  const address = text.slice(0, slash)
  return { address, bits: Number(text.slice(slash + 1)), family: address.includes(':') ? 'ipv6' : 'ipv4' }
}

function holds ({ address, bits, family }: Range, other: string): boolean {
  const list = new BlockList()
  list.addSubnet(address, bits, family)
  return list.check(other, family)
}

/**
 * What stands for the client behind an address: an IPv4 address, or the 64 bits of an IPv6 address that its network has, for
 * a client may choose the rest (RFC 4291 §2.5.1). Text that is no address, such as the peer of a Unix socket, stands for itself.
 */
export function addressBlock (ip = ''): string {
  const address = unmapped(withoutPort(ip))
  // The last 32 bits may be written in the way of IPv4, as in ::192.0.2.1; they are not among the first 64.
  return isIP(address) === 6 ? `${toBigInt(address.replace(/[\d.]+\.\d+$/, '0:0'), 'ipv6') >> 64n}/64` : address
}

/** Some proxies write the port of a client too, which is another one with each connection. */
function withoutPort (text: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}

/** `::ffff:192.0.2.1`, as a dual-stack socket names IPv4 clients, is 192.0.2.1 however it is written (RFC 4291 §2.5.5.2); no zone is kept. */
function unmapped (ip: string): string {
  const address = isIP(ip) === 6 ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address
}

/** Are all bits of the address behind the prefix zero? Then no lower address is in the range. */
function isNetwork (address: string, bits: number, family: Family): boolean {
  const value = toBigInt(address, family)
  const rest = BigInt((family === 'ipv4' ? 32 : 128) - bits)
  return (value >> rest) << rest === value
}

function toBigInt (address: string, family: Family): bigint {
  if (family === 'ipv4') return address.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const [head = '', tail] = address.split('::') as [string, string?]
  const groups = (text: string): string[] => text === '' ? [] : text.split(':')
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}
