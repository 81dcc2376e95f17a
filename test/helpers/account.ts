// What a customer does over HTTP: asks the account routes, with a session or a key, and makes keys.
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { ApiKey, IssueInput, Issued } from '../../lib/index.js'
import { SIGNED_IN } from './host.js'
import { ACCOUNT } from './keys.js'

export const KEYS = '/v1/me/api-keys'
export const SITES = '/v1/me/sites'
/** Ids that nobody has. */
export const NO_KEY = 'key_00000000000000000000000000'
export const NO_SITE = 'site_00000000000000000000000000'
/** The host acts for the account. */
export const HOST = { accountId: ACCOUNT, credential: 'host' } as const

export interface Answer { status: number, headers: LightMyRequestResponse['headers'], text: string, json: any }
type Headers = Record<string, string | string[]>
/** @param body text is sent as it is, under the content type of JSON */
export type Ask = (method: string, url: string, body?: unknown, headers?: Headers) => Promise<Answer>

/** @param own headers of every request, the signed-in customer's unless others are given; a request's own replace them */
export function asking (app: FastifyInstance, own: Headers = SIGNED_IN): Ask {
  return async (method, url, body, headers = own) => {
    const answer = await app.inject({
      method: method as 'GET',
      url,
      headers: typeof body === 'string' ? { 'content-type': 'application/json', ...headers } : headers,
      ...(body !== undefined && { payload: body as object })
    })
    const { statusCode: status, body: text } = answer
    return { status, headers: answer.headers, text, json: /json/.test(String(answer.headers['content-type'])) && text !== '' ? answer.json() : undefined }
  }
}

export interface Made { plaintext: string, apiKey: ApiKey, publicId: string, url: string, credential: { 'x-api-key': string } }

function made ({ plaintextKey, apiKey }: Issued): Made {
  const { publicId } = apiKey
  return { plaintext: plaintextKey!, apiKey, publicId, url: `${KEYS}/${publicId}`, credential: { 'x-api-key': plaintextKey! } }
}

/** The key that an answer made. */
export function madeBy (answer: Answer): Made {
  if (answer.status !== 201) throw new Error(answer.text)
  return made(answer.json as Issued)
}

/** A named key of the account, made by the host. */
export async function makeKey ({ selfServeKeys }: FastifyInstance, input: Partial<IssueInput> = {}, accountId = ACCOUNT): Promise<Made> {
  return made(await selfServeKeys.keys.issue({ ...HOST, accountId }, { label: 'Server', ...input }))
}
