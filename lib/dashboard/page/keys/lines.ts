// Short texts, one a line.

/** Those lines that hold something, which are what is sent. */
export function linesOf (text: string): string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '')
}

/** Which line of the text is this one of those that are sent? From 1. @param place from 0 */
export function lineOf (text: string, place: number): number {
  const filled = text.split('\n').flatMap((line, at) => line.trim() === '' ? [] : [at + 1])
  return filled[place] ?? place + 1
}
