// What a host may tell Fastify's router, in both forms, and what its clients then send.
import type { FastifyServerOptions, RouteOptions } from 'fastify'

export interface Router { readonly options: FastifyServerOptions, readonly constraints?: RouteOptions['constraints'], readonly headers?: readonly string[] }

const ALL = { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false, useSemicolonDelimiter: true }
export const ROUTERS: Readonly<Record<string, Router>> = {
  'no option': { options: {} },
  ignoreTrailingSlash: { options: { ignoreTrailingSlash: true } },
  ignoreDuplicateSlashes: { options: { ignoreDuplicateSlashes: true } },
  'caseSensitive: false': { options: { caseSensitive: false } },
  useSemicolonDelimiter: { options: { useSemicolonDelimiter: true } },
  'maxParamLength: 12': { options: { maxParamLength: 12 } },
  'exposeHeadRoutes: false': { options: { exposeHeadRoutes: false } },
  'routerOptions, each': { options: { routerOptions: { ...ALL, maxParamLength: 40 } } },
  'all at once': { options: { ...ALL, exposeHeadRoutes: false } },
  rewriteUrl: { options: { rewriteUrl: ({ url = '' }) => url.replace(/^\/public(?=\/)/, '').replace(/;.*$/, '') } },
  'rewriteUrl that decodes': { options: { rewriteUrl: ({ url = '' }) => decoded(url) } },
  'a version': { options: {}, constraints: { version: '1.2.0' }, headers: ['Accept-Version: 1.x'] },
  'a host': { options: { ignoreTrailingSlash: true }, constraints: { host: /^(localhost|evil\.example)$/ } }
}

function decoded (url: string): string {
  try {
    return decodeURIComponent(url)
  } catch {
    return url
  }
}
