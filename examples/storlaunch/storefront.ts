// The API this host sells: a shop's catalogue, which publishable keys may read, and its orders, which they may not.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { getApiKey, protect, type Environment } from 'fastify-self-serve-keys'
import { NotFound } from './envelope.js'

interface Product { id: string, name: string, price: number }
interface Shop { pages: Record<string, object>, products: Product[], orders: Array<{ id: string, productId: string }> }

/** The two worlds that keys see. In memory: each start begins anew. */
const openShops = (): Record<Environment, Shop> => ({
  live: {
    pages: { store: { name: 'Kopi Toko', currency: 'IDR' }, shipping: { days: 3 } },
    products: [{ id: 'prod_1', name: 'Gayo beans', price: 120_000 }, { id: 'prod_2', name: 'Paper filters', price: 35_000 }],
    orders: [{ id: 'ord_1', productId: 'prod_1' }]
  },
  test: {
    pages: { store: { name: 'Kopi Toko (test)', currency: 'IDR' } },
    products: [{ id: 'prod_1', name: 'Test beans', price: 1_000 }],
    orders: []
  }
})

/** Read-only public catalogue: GET alone, by any key. */
const catalogue = { apiKey: { allowPublishable: true } } as const
const byId = { params: Type.Object({ id: Type.String() }) }

export const storefront: FastifyPluginAsyncTypebox = async (scope) => {
  protect(scope)
  const shops = openShops()
  const shopOf = (request: Parameters<typeof getApiKey>[0]): Shop => shops[getApiKey(request).environment]
  const found = <T>(thing: T | undefined): T => {
    if (thing === undefined) throw new NotFound()
    return thing
  }

  scope.get('/public/*', { config: catalogue, schema: { params: Type.Object({ '*': Type.String() }) } }, async (request) =>
    found(new Map(Object.entries(shopOf(request).pages)).get(request.params['*'])))

  scope.get('/products', { config: catalogue }, async (request) => shopOf(request).products)

  scope.get('/products/:id', { config: catalogue, schema: byId }, async (request) =>
    found(shopOf(request).products.find(({ id }) => id === request.params.id)))

  scope.patch('/products/:id', {
    schema: { ...byId, body: Type.Object({ price: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }) }
  }, async (request) => Object.assign(found(shopOf(request).products.find(({ id }) => id === request.params.id)), request.body))

  scope.get('/orders', async (request) => shopOf(request).orders)
}
