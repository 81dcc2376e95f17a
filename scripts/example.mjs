// `npm run example NAME`: starts a built example in place of this process's own work.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const folder = join(import.meta.dirname, '..', 'dist', 'examples')
const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name)
const [name] = process.argv.slice(2)

if (names.includes(name)) {
  await import(pathToFileURL(join(folder, name, 'server.js')).href)
} else {
  console.error(`npm run example ${name === undefined ? 'needs a name' : `knows no "${name}"`}: one of ${names.join(', ')}.`)
  process.exitCode = 1
}
