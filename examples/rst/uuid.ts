// Ids of keys as UUIDs: the 128 bits of the ULID in a public id, written another way. Nothing has to be kept for it.

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i

export function toUuid (publicId: string): string {
  const bits = [...publicId.slice('key_'.length)].reduce((sum, digit) => sum << 5n | BigInt(CROCKFORD.indexOf(digit)), 0n)
  return bits.toString(16).padStart(32, '0').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** What is no UUID stays what it is, which is no key's id either. */
export function toPublicId (uuid: string): string {
  const match = UUID.exec(uuid)
  if (match === null) return uuid
  const bits = BigInt(`0x${match.slice(1).join('')}`)
  return `key_${Array.from({ length: 26 }, (_, place) => CROCKFORD[Number(bits >> BigInt(125 - 5 * place) & 31n)]).join('')}`
}
