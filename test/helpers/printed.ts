// Answers and commands as a document prints them.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/**
 * `value` with what fits a pattern or a test of `printed` replaced by it, for a comparison member by member:
 * `t.strictSame(asPrinted(answer, printed), printed)`.
 */
export function asPrinted (value: any, printed: any): any {
  if (printed instanceof RegExp) return typeof value === 'string' && printed.test(value) ? printed : value
  if (typeof printed === 'function') return printed(value) === true ? printed : value
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item, place) => asPrinted(item, printed?.[place]))
  return Object.fromEntries(Object.entries(value).map(([member, part]) => [member, asPrinted(part, printed?.[member])]))
}

/** Why commands cannot be pasted here; false if they can. */
export const noCurl: string | false = spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed'

/** Runs commands in a shell, as they would be pasted. @returns how it ended, and what it printed on standard output */
export async function paste (commands: string): Promise<{ code: number, output: string }> {
  const shell = spawn('bash', [], { stdio: ['pipe', 'pipe', 'ignore'] })
  shell.stdin.end(commands)
  const [output, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
  return { code, output }
}

/** JSON documents that were printed without anything between them. */
export function jsonOf (output: string): any[] {
  return output.replace(/(?<=[}\]])(?=[{[])/g, '\n').split('\n').map((line) => JSON.parse(line))
}
