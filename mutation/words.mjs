// The words of a text, those within names too: a test that uses those of a changed line is likely to notice the change.

export function wordsOf (text) {
  return [...new Set(text.match(/[A-Z]?[a-z]{2,}|[A-Z]{3,}/g)?.map((word) => word.toLowerCase()))]
}
