// CRC-32 as zip and PNG have it (ISO 3309, https://www.w3.org/TR/png/#D-CRCAppendix): of a key's text, for its last six characters.

/** The polynomial, its bits reversed. */
const POLYNOMIAL = 0xedb88320
/** What each byte adds. */
const TABLE = Int32Array.from({ length: 256 }, (_none, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : POLYNOMIAL ^ (crc >>> 1)
  return crc
})

/**
 * Of the first `length` characters, in ASCII; of others the low byte counts. `node:zlib` has it too, but wants a text cut off and copied
 * out of the heap, which takes longer than the sum of fifty characters does.
 */
export function crc32 (text: string, length: number): number {
  let crc = -1
  for (let i = 0; i < length; i++) crc = TABLE[(crc ^ text.charCodeAt(i)) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
