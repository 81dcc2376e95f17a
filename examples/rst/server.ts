// Entry of rst: people sign in with a password and manage API keys with a JWT. Its settings are those of every example (serve.ts).
import { serve } from '../serve.js'
import { buildApp } from './app.js'
import { welcome } from './welcome.js'

await serve('rst example', async (dataDir) => ({ app: await buildApp(dataDir), welcome }))
