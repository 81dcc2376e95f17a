// Entry of storlaunch: a shop's API whose own keys manage its keys. Its settings are those of every example (serve.ts).
import { serve } from '../serve.js'
import { buildApp } from './app.js'
import { startWorkspace, welcome } from './workspace.js'

await serve('storlaunch example', async (dataDir) => {
  const app = await buildApp(dataDir)
  return { app, welcome: async (origin) => welcome(origin, await startWorkspace(app, dataDir)) }
})
