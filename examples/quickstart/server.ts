// Entry of the quickstart: settings from the environment, the start, what the terminal shows, and the end.
//
//   PORT (3000; 0 for any free one)   HOST (127.0.0.1)   DATA_DIR (./.data)
//   ACCOUNT_MUTATIONS_PER_MINUTE (60; 0 for no limit): changes that an account may make to its keys
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.js'
import { startDemo, welcome } from './demo.js'

/** ms that a request under way may still take when the server ends. */
const GRACE = 2000
/** ms. npm passes a terminal's Ctrl-C on to a process that has it already: that is not a second one. */
const SAME_SIGNAL = 500

try {
  const port = wholeNumber('PORT', 3000, 65_535)
  const accountMutations = wholeNumber('ACCOUNT_MUTATIONS_PER_MINUTE', 60, 1_000_000)
  const { app, auth } = await buildApp({ dataDir: text('DATA_DIR', './.data'), accountMutations })
  const origin = await app.listen({ port, host: text('HOST', '127.0.0.1') })
  endOnSignal(app)
  const demo = await startDemo(app, auth)
  process.stdout.write(welcome(origin, demo))
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException
  console.error(`The quickstart could not start: ${message}`)
  if (code === 'EADDRINUSE') console.error('Another program has that port. Name a free one: PORT=3001 npm start')
  process.exit(1)
}

/** The first signal closes the app, which writes the usage that is still buffered; a second one ends at once. */
function endOnSignal (app: FastifyInstance): void {
  let since: number | undefined
  const end = (): void => {
    if (since !== undefined) {
      if (performance.now() - since > SAME_SIGNAL) process.exit(1)
      return
    }
    since = performance.now()
    setTimeout(() => { app.server.closeAllConnections() }, GRACE).unref()
    app.close().catch((error: unknown) => {
      console.error(error)
      process.exitCode = 1
    })
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}

function text (name: string, fallback: string): string {
  const value = process.env[name] ?? fallback
  if (value.trim() === '') throw new Error(`${name} is empty.`)
  return value
}

function wholeNumber (name: string, fallback: number, max: number): number {
  const value = text(name, String(fallback))
  if (!/^\d{1,9}$/.test(value) || Number(value) > max) throw new Error(`${name} must be a whole number from 0 to ${max}, not "${value}".`)
  return Number(value)
}
