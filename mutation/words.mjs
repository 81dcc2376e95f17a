// The words of a text: a test that uses those of a changed line is likely to notice the change.

export function wordsOf (text) {
  return [...new Set(text.toLowerCase().match(/[a-z0-9]{3,}/g))]
}
