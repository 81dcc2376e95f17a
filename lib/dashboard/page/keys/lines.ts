// Short texts, one a line.

/** Those lines that hold something. */
export function linesOf (text: string): string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '')
}
