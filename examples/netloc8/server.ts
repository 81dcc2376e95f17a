// Entry of netloc8: account endpoints that the account's own API keys open. Its settings are those of every example (serve.ts).
import { serve } from '../serve.js'
import { buildApp } from './app.js'
import { startDemo, welcome } from './demo.js'

await serve('netloc8 example', async (dataDir) => {
  const { app, users } = await buildApp(dataDir)
  return { app, welcome: async (origin) => welcome(origin, await startDemo(app, users)) }
})
