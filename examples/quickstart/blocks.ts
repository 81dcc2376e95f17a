// The API this host sells: blocks, transactions and reports of a made-up chain, behind API keys.
import { createHash } from 'node:crypto'
import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import { protect, type Environment } from 'fastify-self-serve-keys'

const LATEST = 1_000_000
const GENESIS = Date.UTC(2026, 0, 1)
const BLOCK_TIME = 6_000
const BLOCKS_A_DAY = 24 * 60 * 60 * 1000 / BLOCK_TIME

const BlockNotFound = createError('BLOCK_NOT_FOUND', 'There is no such block.', 404)
const withKey = { tags: ['Blocks'], security: [{ apiKey: [] }] }
const withKeyOrSession = { tags: ['Blocks'], security: [{ apiKey: [] }, { session: [] }] }

const Block = Type.Object({
  number: Type.Integer(),
  hash: Type.String(),
  parentHash: Type.String(),
  timestamp: Type.String({ format: 'date-time' }),
  transactions: Type.Integer()
})

export const chainRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/blocks', {
    config: { apiKey: { scopes: ['blocks:read'] } },
    schema: {
      ...withKey,
      summary: 'The latest blocks',
      querystring: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 50, default: 10 }) }),
      response: { 200: Type.Object({ blocks: Type.Array(Block) }) }
    }
  }, async (request) => {
    // A test key reads the test network: the same routes, other data.
    const { environment } = request.apiKey
    return { blocks: Array.from({ length: request.query.limit }, (_, place) => blockOf(environment, LATEST - place)) }
  })

  app.get('/blocks/:number', {
    config: { apiKey: { scopes: ['blocks:read'] } },
    schema: {
      ...withKey,
      summary: 'One block',
      params: Type.Object({ number: Type.Integer({ minimum: 0 }) }),
      response: { 200: Type.Object({ block: Block }) }
    }
  }, async (request) => {
    if (request.params.number > LATEST) throw new BlockNotFound()
    return { block: blockOf(request.apiKey.environment, request.params.number) }
  })

  app.post('/transactions', {
    config: { apiKey: { scopes: ['transactions:write'] } },
    schema: {
      ...withKey,
      summary: 'Submit a transaction',
      body: Type.Object({ to: Type.String({ pattern: '^0x[0-9a-f]{1,64}$' }), amount: Type.Integer({ minimum: 1 }) }),
      response: { 202: Type.Object({ transactionHash: Type.String(), status: Type.Literal('received') }) }
    }
  }, async (request, reply) => {
    const { to, amount } = request.body
    reply.code(202)
    return { transactionHash: digest(request.apiKey.environment, to, amount), status: 'received' as const }
  })

  app.register(async (reports) => {
    // Every route of this scope: a key with the scope, or the signed-in user, who has no key at hand in the browser.
    protect(reports, { scopes: ['blocks:read'], session: true })
    reports.get('/reports', { schema: { ...withKeyOrSession, summary: 'The last block of each of the last seven days' } }, async (request) => {
      const environment = request.apiKey?.environment ?? 'live'
      return { requestedBy: request.caller!.via, environment, days: lastDays(environment, 7) }
    })
  })
}

/** The same block for the same number, always. */
function blockOf (environment: Environment, number: number): Static<typeof Block> {
  const hash = digest(environment, number)
  return {
    number,
    hash,
    parentHash: number === 0 ? `0x${'0'.repeat(64)}` : digest(environment, number - 1),
    timestamp: new Date(GENESIS + number * BLOCK_TIME).toISOString(),
    transactions: parseInt(hash.slice(-2), 16)
  }
}

function lastDays (environment: Environment, count: number): Array<{ date: string, lastBlock: Static<typeof Block> }> {
  return Array.from({ length: count }, (_, place) => {
    const lastBlock = blockOf(environment, LATEST - place * BLOCKS_A_DAY)
    return { date: lastBlock.timestamp.slice(0, 10), lastBlock }
  })
}

function digest (...parts: Array<string | number>): string {
  return `0x${createHash('sha256').update(parts.join(' ')).digest('hex')}`
}
