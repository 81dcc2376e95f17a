#!/usr/bin/env node
// The command as npm installs it.
import { run } from './run.js'

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', () => {})
process.exitCode = await run(process.argv.slice(2), process)
