// A process that is one instance: started by server.ts, it says on which port it listens, and ends when it is told to.
import type { AddressInfo } from 'node:net'
import { buildApp } from './app.js'

const { INSTANCE = '', DATABASE_URL = '', REDIS_URL = '', SESSION_SECRET = '' } = process.env

try {
  const app = await buildApp(INSTANCE, { databaseUrl: DATABASE_URL, redisUrl: REDIS_URL, secret: SESSION_SECRET })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const end = async (): Promise<void> => {
    process.off('disconnect', end)
    await app.close()
    // To listen for its end keeps the process alive.
    if (process.connected) process.disconnect()
  }
  process.once('SIGTERM', end)
  process.once('disconnect', end)
  // A terminal's Ctrl-C reaches every process; the one that started this one says when to end.
  process.on('SIGINT', () => {})
  process.send!({ port: (app.server.address() as AddressInfo).port })
} catch (error) {
  console.error(`Instance ${INSTANCE}: ${(error as Error).message}`)
  process.exit(1)
}
