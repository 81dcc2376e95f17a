// Register and log in: a thin shell around Better Auth, which keeps the people and their passwords.
import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { isAPIError } from 'better-auth/api'
import type { Auth } from './auth.js'
import { text } from './text.js'

const InvalidField = createError('INVALID_REQUEST', '%s', 400)
const InvalidCredentials = createError('INVALID_CREDENTIALS', 'The username or the password is wrong.', 401)
// 409 and not 400: the request is right, and would pass with another name.
const UsernameTaken = createError('USERNAME_TAKEN', 'Somebody has this username.', 409)
const EmailTaken = createError('EMAIL_TAKEN', 'Somebody has this email.', 409)

const Registration = Type.Object({
  username: Type.String({ minLength: 3, maxLength: 50, pattern: '^[A-Za-z0-9]*$' }),
  email: Type.String({ maxLength: 254, format: 'email' }),
  password: text(8, 128),
  full_name: text(1, 200)
}, { additionalProperties: false })

const Credentials = Type.Object({ username: Type.String(), password: Type.String() }, { additionalProperties: false })

/** A host that is deployed limits these two by address: they are what guesses passwords. */
export function peopleRoutes (auth: Auth): FastifyPluginAsyncTypebox {
  return async (scope) => {
    scope.post('/register', { schema: { body: Registration } }, async (request) => {
      const { username, email, password, full_name: name } = request.body
      const signUp = async (): ReturnType<typeof auth.api.signUpEmail> => await auth.api.signUpEmail({ body: { username, email, password, name } })
      const { user, token } = await signUp().catch(async (error: unknown) => {
        // Of two at once the later cannot be stored. Asked again, Better Auth says what is taken.
        if (codeOf(error) === 'FAILED_TO_CREATE_USER') return await signUp()
        throw error
      }).catch((error: unknown) => {
        const code = codeOf(error)
        if (code === 'USERNAME_IS_ALREADY_TAKEN') throw new UsernameTaken()
        if (code === 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL') throw new EmailTaken()
        if (isAPIError(error) && error.statusCode === 400) throw new InvalidField(error.message)
        throw new Error('Better Auth did not register a user', { cause: error })
      })
      await signOut(token)
      return { id: user.id, username, email: user.email, full_name: user.name }
    })

    scope.post('/login', { schema: { body: Credentials } }, async (request) => {
      const { user, token } = await auth.api.signInUsername({ body: request.body }).catch((error: unknown) => {
        // Whatever is wrong with it, a name that cannot exist included: nobody learns which names do.
        throw isAPIError(error) && error.statusCode < 500 ? new InvalidCredentials() : error
      })
      await signOut(token)
      const { token: jwt } = await auth.api.signJWT({ body: { payload: { sub: user.id, name: user.name } } })
      return { access_token: jwt, token_type: 'bearer' }
    })
  }

  /** The JWT stands for itself: Better Auth's session, which nobody was given, need not stay. */
  async function signOut (token: string | null): Promise<void> {
    if (token !== null) await (await auth.$context).internalAdapter.deleteSession(token)
  }
}

function codeOf (error: unknown): string | undefined {
  return isAPIError(error) ? error.body?.code : undefined
}
