// The session of a signed-in user, for the demo: your identity provider issues these.
import { SignJWT } from 'jose'

/** What a good token says, for whoever signs one and whoever verifies it. */
export const JWT = { issuer: 'https://login.example.com', audience: 'cluster-example', algorithms: ['HS256'] }

export async function issueToken (userId: string, secret: string): Promise<string> {
  return await new SignJWT({ name: 'Demo' }).setProtectedHeader({ alg: 'HS256' }).setSubject(userId)
    .setIssuer(JWT.issuer).setAudience(JWT.audience).setExpirationTime('12h').sign(new TextEncoder().encode(secret))
}
