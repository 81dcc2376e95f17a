// Entry of the quickstart. Beside the settings of every example (serve.ts):
//
//   ACCOUNT_MUTATIONS_PER_MINUTE (60; 0 for no limit): changes that an account may make to its keys
import { serve, wholeNumber } from '../serve.js'
import { buildApp } from './app.js'
import { startDemo, welcome } from './demo.js'

await serve('quickstart', async (dataDir) => {
  const { app, auth } = await buildApp({ dataDir, accountMutations: wholeNumber('ACCOUNT_MUTATIONS_PER_MINUTE', 60, 1_000_000) })
  return { app, welcome: async (origin) => welcome(origin, await startDemo(app, auth)) }
})
