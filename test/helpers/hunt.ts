// Looks for secrets in whatever bytes a host leaves behind: each in every way it may be written, whole or in pieces.

/** Characters of the shortest piece that counts. What is shown of a key, its first 8 and last 4, is shorter. */
export const PIECE = 12

/** Ways to write a piece of text. Base64 has three, by where in a longer text the piece begins: what its neighbours blur is left out. */
const WRITINGS: Readonly<Record<string, (piece: Buffer) => string[]>> = {
  'as it is': (piece) => [piece.toString('latin1')],
  'in JSON': (piece) => [JSON.stringify(piece.toString()).slice(1, -1)],
  'in UTF-16': (piece) => [Buffer.from(piece.toString(), 'utf16le').toString('latin1')],
  'in hex': (piece) => [piece.toString('hex'), piece.toString('hex').toUpperCase()],
  'as inspect shows a buffer': (piece) => [[...piece].map(hex).join(' ')],
  'as JSON shows a buffer': (piece) => [[...piece].join(',')],
  'in a URL': (piece) => [encodeURIComponent(piece.toString())],
  'in a URL, every byte': (piece) => [[...piece].map((byte) => `%${hex(byte)}`).join(''), [...piece].map((byte) => `%${hex(byte).toUpperCase()}`).join('')],
  'in base64': (piece) => inBase64(piece, 'base64'),
  'in base64url': (piece) => inBase64(piece, 'base64url')
}

function hex (byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

function inBase64 (piece: Buffer, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), piece]).toString(encoding)
    return text.slice(Math.ceil(before * 4 / 3), Math.floor((before + piece.length) * 4 / 3))
  })
}

interface Needle { readonly bytes: Buffer, readonly secret: string, readonly writing: string }

/** Bits of a sum over four bytes: whatever a needle begins with has one set. */
const BITS = 22
const sumOf = (four: number): number => Math.imul(four, 0x9E3779B1) >>> (32 - BITS)

/** The secrets of a host, by names. */
export class Hunt {
  readonly #starts = new Map<number, Needle[]>()
  readonly #sums = new Uint8Array(2 ** BITS)

  /** @param secret letters, digits and signs of ASCII, at least as many as a piece has */
  add (name: string, secret: string): void {
    if (!/^[\x20-\x7e]*$/.test(secret) || secret.length < PIECE) throw new Error(`${name} cannot be looked for`)
    for (let start = 0; start + PIECE <= secret.length; start++) {
      const piece = Buffer.from(secret.slice(start, start + PIECE))
      for (const [writing, write] of Object.entries(WRITINGS)) {
        for (const text of new Set(write(piece))) this.#addNeedle({ bytes: Buffer.from(text, 'latin1'), secret: name, writing })
      }
    }
  }

  #addNeedle (needle: Needle): void {
    const four = needle.bytes.readInt32BE(0)
    const others = this.#starts.get(four)
    if (others === undefined) this.#starts.set(four, [needle])
    else if (!others.some(({ bytes }) => bytes.equals(needle.bytes))) others.push(needle)
    this.#sums[sumOf(four)] = 1
  }

  /** The names of the secrets of which there is a piece, in order, with the first writing in which it was met. */
  found (where: Buffer | string): string[] {
    const bytes = typeof where === 'string' ? Buffer.from(where) : where
    const met = new Map<string, string>()
    let four = 0
    for (let end = 0; end < bytes.length; end++) {
      four = (four << 8) | bytes[end]!
      if (this.#sums[sumOf(four)] === 0 || end < 3) continue
      const start = end - 3
      for (const { bytes: needle, secret, writing } of this.#starts.get(four) ?? []) {
        if (!met.has(secret) && bytes.subarray(start, start + needle.length).equals(needle)) met.set(secret, writing)
      }
    }
    return [...met].map(([secret, writing]) => `${secret} ${writing}`).sort()
  }
}
