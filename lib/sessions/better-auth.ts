// Better Auth sessions as a session resolver.
import { lookAt } from '../members.js'
import { readPart } from '../part-options.js'
import type { Profile } from '../register.js'
import type { Account, SessionAsk, SessionResolver } from './session.js'

/** What we use of a Better Auth instance, so that no version of it is imported. */
export interface BetterAuthLike<S extends BetterAuthSession = BetterAuthSession> {
  api: {
    getSession (input: { headers: Headers, query: { disableCookieCache: true, disableRefresh: true } }): Promise<S | null>
  }
}

export interface BetterAuthSession {
  session: { id: string, userId: string, token: string } & Record<string, unknown>
  user: BetterAuthUser
}
export interface BetterAuthUser {
  id: string
  name: string
  email: string
  emailVerified: boolean
  createdAt: Date
}

export interface BetterAuthSessionOptions<S extends BetterAuthSession> {
  /**
   * Whose keys this session manages; null for nobody (401). For an organisation's keys return its id.
   * @default the user
   */
  account?: (session: S, ask: SessionAsk) => Account | null | Promise<Account | null>
}

/**
 * Asks Better Auth who is signed in. For bearer tokens its `bearer()` plugin must be on.
 *
 * Better Auth lets a good cookie rescue a bad bearer, answers revoked sessions from its cookie cache, and extends
 * sessions on read, losing the renewed cookie. So it is asked with one credential header, without cache and refresh.
 * @throws INVALID_OPTION
 */
export function betterAuthSession<S extends BetterAuthSession> (
  auth: BetterAuthLike<S>,
  options: BetterAuthSessionOptions<S> = {}
): SessionResolver {
  const { functionOf, refuse } = readPart('betterAuthSession', options, ['account'])
  const account = functionOf<typeof options.account>('account') ?? userAccount
  if (!lookAt('auth', () => typeof auth?.api?.getSession === 'function', refuse)) refuse('auth', 'must be an object with api.getSession()')
  const sessionOf = async (header: 'authorization' | 'cookie', value: string): Promise<S | null> => await auth.api.getSession({
    headers: new Headers({ [header]: value }),
    query: { disableCookieCache: true, disableRefresh: true }
  })
  const ofCookie = async ({ headers }: SessionAsk): Promise<S | null> => await sessionOf('cookie', headers.get('cookie') ?? '')
  const accountOf = async (session: S | null, ask: SessionAsk): Promise<Account | null> => session === null ? null : await account(session, ask)
  return {
    bearer: async (token, ask) => await accountOf(await sessionOf('authorization', `Bearer ${token}`), ask),
    cookie: async (ask) => await accountOf(await ofCookie(ask), ask),
    token: async (ask) => {
      const session = await ofCookie(ask)
      return session === null || await accountOf(session, ask) === null ? null : session.session.token
    }
  }
}

function userAccount ({ user }: BetterAuthSession): Account {
  const { id, name, email, emailVerified, createdAt } = user
  const profile = { name, email, emailVerified, createdAt: createdAt.toISOString() } as Profile
  return { id, actor: { id, name }, profile }
}
