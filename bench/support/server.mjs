// One variant of a benchmark, in a process of its own: serves it, and says on request what serving has cost so far.
// The harness starts it: node server.mjs BENCHMARK VARIANT CONTEXT
import { pathToFileURL } from 'node:url'

const [file, variant, context] = process.argv.slice(2)
const { default: bench } = await import(pathToFileURL(file).href)
const app = await bench.variants[variant](JSON.parse(context))

let requests = 0
app.server.on('request', () => { requests++ })

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ requests, cpu: user + system })
})
// An orderly end, so that a profile is written; also when the harness was killed.
process.on('disconnect', () => { process.exit() })

process.send({ url: await app.listen({ port: 0, host: '127.0.0.1' }) })
