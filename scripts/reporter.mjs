// The tap reporter: a line a test file, failures in full, and `N passed, M failed` (asserts, not tests) at the end.
import { Transform } from 'node:stream'
import { inspect } from 'node:util'
import { Parser } from 'tap-parser' // comes with tap, in the version tap speaks

/** Members of a diagnostic that say nothing a reader needs: how tap compared, and how it started the file. */
const NOISE = new Set(['compare', 'tapCaller', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId'])

export default class Reporter extends Transform {
  #parser = new Parser()
  #total = { passed: 0, failed: 0, skipped: 0 }
  #file = null

  constructor () {
    super({ decodeStrings: false })
    // Only the files are the root's children; tap sends each as one block, however many run at once.
    this.#parser.on('child', (child) => {
      this.#endFile()
      this.#file = { child, point: null, passed: 0, failed: 0, skipped: 0, failures: '' }
    })
    this.#parser.on('result', (result) => this.#count(result))
    this.#parser.on('assert', (point) => {
      if (this.#file === null) return
      this.#file.point = point
      queueMicrotask(() => this.#endFile(point))
    })
    this.#parser.on('extra', (text) => this.push(text.replace(/^(?=.)/gm, '  | ')))
    this.#parser.on('bailout', (reason) => {
      this.#total.failed++
      this.push(`bail out: ${reason}\n`)
    })
  }

  _transform (chunk, encoding, done) {
    this.#parser.write(chunk)
    done()
  }

  _flush (done) {
    this.#parser.end()
    this.#endFile()
    this.push(`${summary(this.#total)}\n`)
    done()
  }

  #count (result) {
    const file = this.#file ?? this.#total
    if (result.skip !== false || result.todo !== false) {
      file.skipped++
      // What was left out for a reason is named with it: the number alone would not tell what was not tested.
      if (typeof result.skip === 'string' && this.#file !== null) file.failures += `    skip: ${result.fullname}: ${result.skip}\n`
    } else if (result.ok) file.passed++
    else {
      file.failed++
      if (this.#file === null) this.push(describe(result.fullname, result))
      else file.failures += describe(result.fullname, result)
    }
  }

  #endFile (point = this.#file?.point) {
    const file = this.#file
    if (file === null || file.point !== point) return
    this.#file = null
    // A broken plan, a timeout or an exit code fails a file without failing an assert of it.
    if (point !== null && !point.ok && file.failed === 0) {
      file.failed++
      const reasons = file.child.results?.failures.map((failure) => failure.tapError).filter(Boolean) ?? []
      file.failures += describe([file.child.name, ...reasons].join(': '), point)
    }
    const time = point?.time == null ? '' : ` (${Math.round(point.time)} ms)`
    this.push(`${file.failed === 0 ? 'pass' : 'FAIL'}  ${file.child.name}  ${summary(file)}${time}\n${file.failures}`)
    for (const key of Object.keys(this.#total)) this.#total[key] += file[key]
  }
}

function summary ({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

function describe (name, { diag, tapError }) {
  const { diff, wanted, found, at, stack, source, error, ...rest } = diag ?? {}
  const lines = [`not ok: ${name}`]
  if (tapError != null) lines.push(`  ${tapError}`)
  if (typeof error === 'string') lines.push(indent(error))
  if (diff !== undefined) lines.push(indent(String(diff).trimEnd()))
  else {
    if (wanted !== undefined) lines.push(`  expected: ${value(wanted)}`)
    if (found !== undefined) lines.push(`  actual:   ${value(found)}`)
  }
  for (const [key, member] of Object.entries(rest)) if (!NOISE.has(key) && member !== null) lines.push(`  ${key}: ${value(member)}`)
  if (at?.fileName !== undefined) lines.push(`  at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`)
  if (typeof source === 'string') lines.push(indent(source.trimEnd(), '    '))
  if (typeof stack === 'string' && stack !== '') lines.push('  stack:', indent(stack.trimEnd(), '    '))
  return `${indent(lines.join('\n'), '    ')}\n`
}

function value (thing) {
  return typeof thing === 'string' ? thing.replaceAll('\n', '\n    ') : inspect(thing, { depth: 6 }).replaceAll('\n', '\n  ')
}

function indent (text, by = '  ') {
  return text.replace(/^(?=.)/gm, by)
}
