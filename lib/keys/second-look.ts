// Tells whether a key was looked for before, lately: what is looked for once need not push out what is used again and again.

/** Bytes of a digest: those that say where it is noted, and those that are noted there. */
const PLACE = 0
const NOTE = 4

/**
 * A table of a fixed size, without a list to keep in order: each digest has one place, and the next one of that place takes it.
 * So it forgets what was looked for some `size` others ago, and once in a while something sooner; it keeps no digest, and 1 in 2³²
 * is mistaken for another.
 * @param size digests that are remembered, about
 */
export function secondLook (size: number): (digest: string) => boolean {
  const notes = new Int32Array(2 ** Math.ceil(Math.log2(size)))
  return (digest) => {
    const place = fourBytes(digest, PLACE) & (notes.length - 1)
    const note = fourBytes(digest, NOTE)
    if (notes[place] === note) return true
    notes[place] = note
    return false
  }
}

/** @param digest one byte a character */
function fourBytes (digest: string, from: number): number {
  return digest.charCodeAt(from) << 24 | digest.charCodeAt(from + 1) << 16 | digest.charCodeAt(from + 2) << 8 | digest.charCodeAt(from + 3)
}
