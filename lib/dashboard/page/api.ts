// HTTP to the account routes: reads go with the page's cookies, changes with a bearer token.
import type {
  EffectivePolicy, ApiKey, ApiKeyList, AuditPage, Environment, Issued, IssueInput, KeyUsage, Site, UpdateInput, UsageSnapshot, UsageWindow
} from './answers.js'

/**
 * - `offline`: there was no answer
 * - `signed-out`: nobody is signed in, or no longer
 * - `no-token`: somebody is, but there is no token to make changes with
 * - `limited`: too many requests; `retryAfter` says when to come back
 * - `unavailable`: a part of the server is down
 * - `refused`: everything else; the message says why
 */
export type FailureKind = 'offline' | 'signed-out' | 'no-token' | 'limited' | 'unavailable' | 'refused'

export class ApiError extends Error {
  /** @param code the server's, null where the answer names none @param retryAfter seconds */
  constructor (
    readonly kind: FailureKind, message: string, readonly code: string | null = null, readonly retryAfter: number | null = null
  ) {
    super(message)
  }

  /** The member of the request's body that is wrong; null where it is none, or the answer does not say. */
  get field (): string | null {
    return this.code === 'INVALID_REQUEST' ? /^(\w+)(?:\.\d+)?: /.exec(this.message)?.[1] ?? null : null
  }
}

/** What was thrown, as the failure to show. */
export function asFailure (error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('unavailable', String(error))
}

/** `getToken` and `headers` are looked at for each request: a host may set others at any time. */
export interface ApiSettings {
  readonly base: string
  readonly getToken: (() => string | null | Promise<string | null>) | null
  readonly headers: Readonly<Record<string, string>> | null
  readonly fetch: typeof fetch
  /** ms that an answer may take. */
  readonly timeout: number
}

/** The account routes of whoever is signed in. Each rejects with ApiError. */
export interface AccountApi {
  policy (): Promise<EffectivePolicy>
  keys (before?: string): Promise<ApiKeyList>
  keyUsage (publicId: string): Promise<KeyUsage>
  issue (input: IssueInput, idempotencyKey: string): Promise<Issued>
  issueDefault (environment: Environment, idempotencyKey: string): Promise<Issued>
  rotate (publicId: string, overlapSeconds: number, idempotencyKey: string): Promise<Issued>
  update (publicId: string, changes: UpdateInput): Promise<ApiKey>
  renew (publicId: string, expiresAt: string | null | undefined): Promise<ApiKey>
  revoke (publicId: string): Promise<ApiKey>
  usage (window: UsageWindow): Promise<UsageSnapshot>
  sites (): Promise<{ sites: Site[], truncated: boolean }>
  addSite (name: string): Promise<Site>
  removeSite (siteId: string): Promise<void>
  audit (options: { offset: number, search: string }): Promise<AuditPage>
}

interface Payload { readonly body?: unknown, readonly idempotencyKey?: string }

export function accountApi (settings: ApiSettings): AccountApi {
  const { base, fetch, timeout } = settings
  /** Is there a cookie that reads? Not where the token alone says who is signed in. */
  let cookieReads = true

  const send = async (method: string, path: string, token: string | null, { body, idempotencyKey }: Payload = {}): Promise<Response> => {
    try {
      return await fetch(`${base}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...settings.headers,
          ...(token !== null && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey })
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeout)
      })
    } catch (error) {
      throw new ApiError((error as Error).name === 'TimeoutError' ? 'unavailable' : 'offline', 'There was no answer.')
    }
  }

  const read = async <T>(path: string): Promise<T> => {
    const { getToken } = settings
    if (cookieReads || getToken === null) {
      const answer = await send('GET', path, null)
      if (answer.status !== 401 || getToken === null) return await valueOf(answer)
    }
    const token = await tokenOf(getToken, timeout)
    if (token === null) throw new ApiError('signed-out', 'Nobody is signed in.')
    const value: T = await valueOf(await send('GET', path, token))
    cookieReads = false
    return value
  }

  const change = async <T>(method: string, path: string, payload?: Payload): Promise<T> => {
    const { getToken } = settings
    const token = getToken === null ? null : await tokenOf(getToken, timeout)
    if (getToken !== null && token === null) throw new ApiError('signed-out', 'Nobody is signed in.')
    return await valueOf(await send(method, path, token, payload))
  }

  const keyPath = (publicId: string): string => `/api-keys/${encodeURIComponent(publicId)}`
  const changeKey = async (method: string, path: string, body?: unknown): Promise<ApiKey> =>
    (await change<{ apiKey: ApiKey }>(method, path, { body })).apiKey

  return {
    policy: async () => await read('/policy'),
    keys: async (before) => await read(`/api-keys${before === undefined ? '' : `?before=${encodeURIComponent(before)}`}`),
    keyUsage: async (publicId) => await read(`${keyPath(publicId)}/usage`),
    issue: async (input, idempotencyKey) => await change('POST', '/api-keys', { body: input, idempotencyKey }),
    issueDefault: async (environment, idempotencyKey) => await change('POST', '/api-keys', { body: { environment }, idempotencyKey }),
    rotate: async (publicId, overlapSeconds, idempotencyKey) =>
      await change('POST', `${keyPath(publicId)}/rotate`, { body: { overlapSeconds }, idempotencyKey }),
    update: async (publicId, changes) => await changeKey('PATCH', keyPath(publicId), changes),
    renew: async (publicId, expiresAt) => await changeKey('POST', `${keyPath(publicId)}/renew`, { expiresAt }),
    revoke: async (publicId) => await changeKey('DELETE', keyPath(publicId)),
    usage: async (window) => await read(`/usage?window=${window}`),
    sites: async () => await read('/sites'),
    addSite: async (name) => await change('POST', '/sites', { body: { name } }),
    removeSite: async (siteId) => { await change('DELETE', `/sites/${encodeURIComponent(siteId)}`) },
    audit: async ({ offset, search }) => await read(`/audit?${new URLSearchParams({ offset: String(offset), ...(search !== '' && { search }) })}`)
  }
}

/** What a host's function does wrong is no reason to say that nobody is signed in. */
async function tokenOf (getToken: NonNullable<ApiSettings['getToken']>, timeout: number): Promise<string | null> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    return await Promise.race([getToken(), new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => { reject(new Error('The session token took too long.')) }, timeout)
    })])
  } catch (error) {
    // What `fetch` says when there is no way to the server.
    throw new ApiError(error instanceof TypeError ? 'offline' : 'unavailable', 'There was no session token.')
  } finally {
    clearTimeout(timer)
  }
}

async function valueOf<T> (answer: Response): Promise<T> {
  const body = answer.status === 204 ? undefined : await answer.json().catch(() => null) as T | null | undefined
  if (!answer.ok) throw failureOf(answer, body as { code?: unknown, message?: unknown } | null | undefined)
  if (body === null) throw new ApiError('unavailable', 'The answer was not JSON.')
  return body as T
}

/** The error of an answer; of its body, which the host's error handler may have shaped, only what is there is taken. */
function failureOf ({ status, headers }: Response, body: { code?: unknown, message?: unknown } | null | undefined): ApiError {
  const code = typeof body?.code === 'string' ? body.code : null
  const message = typeof body?.message === 'string' ? body.message : `The server answered ${status}.`
  const kind = status === 401
    ? 'signed-out'
    : code === 'BEARER_REQUIRED' ? 'no-token' : status === 429 ? 'limited' : status >= 500 ? 'unavailable' : 'refused'
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN)
  return new ApiError(kind, message, code, Number.isFinite(retryAfter) ? retryAfter : null)
}
