// What every example's entry does: settings from the environment, the start, and a clean end on a signal.
//
//   PORT (3000; 0 for any free one)   HOST (127.0.0.1)   DATA_DIR (./.data)
import { mkdirSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

/** ms that a request under way may still take when the server ends. */
const GRACE = 2000
/** ms. npm passes a terminal's Ctrl-C on to a process that has it already: that is not a second one. */
const SAME_SIGNAL = 500

export interface Started {
  app: FastifyInstance
  /** What the terminal shows once the server listens at `origin`. */
  welcome: (origin: string) => string | Promise<string>
}

/** Builds an app on the data folder, listens, and prints its welcome. What fails before that ends the process with a message. */
export async function serve (name: string, build: (dataDir: string) => Promise<Started>): Promise<void> {
  try {
    const port = wholeNumber('PORT', 3000, 65_535)
    const dataDir = text('DATA_DIR', './.data')
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const { app, welcome } = await build(dataDir)
    const origin = await app.listen({ port, host: text('HOST', '127.0.0.1') })
    endOnSignal(app)
    process.stdout.write(await welcome(origin))
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    console.error(`The ${name} could not start: ${message}`)
    if (code === 'EADDRINUSE') console.error('Another program has that port. Name a free one: PORT=3001')
    process.exit(1)
  }
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

/** A setting that is a whole number from 0 to `max`. */
export function wholeNumber (name: string, fallback: number, max: number): number {
  const value = text(name, String(fallback))
  if (!/^\d{1,9}$/.test(value) || Number(value) > max) throw new Error(`${name} must be a whole number from 0 to ${max}, not "${value}".`)
  return Number(value)
}
