// A host with the page, listening for a browser: whoever has its cookie is signed in, and its storage can be made to fail or wait.
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { memoryStorage, type CookieAsk, type SelfServeKeysOptions, type SessionResolver, type Storage } from '../../lib/index.js'
import { systemClock } from '../../lib/time.js'
import { checkAccessibility, shoot } from './browser.js'
import { build, login, portOf, type HostParts } from './host.js'
import { ACCOUNT } from './keys.js'

export interface PageHost {
  app: FastifyInstance
  origin: string
  storage: Storage
  /** Where a test puts what is to happen before each call of the storage; null: nothing. */
  trouble: { before: null | (() => Promise<void>) }
}

/** Knows the person `x` by the cookie `session=token-x`, which is also the bearer token. */
export const cookieSession: SessionResolver = {
  ...login, token: ({ cookies }) => login.cookie!({ cookies } as CookieAsk) === null ? null : cookies.session!
}

export async function pageHost (t: Test, options: Partial<SelfServeKeysOptions> = {}, parts: HostParts = {}): Promise<PageHost> {
  const trouble: PageHost['trouble'] = { before: null }
  const storage = memoryStorage()
  const troubled = Object.fromEntries(Object.entries(storage).map(([name, method]) => [name, async (...args: unknown[]) => {
    await trouble.before?.()
    return await (method as (...args: unknown[]) => unknown).apply(storage, args)
  }])) as unknown as Storage
  const { app } = await build(t, {
    session: cookieSession, clock: systemClock, dashboard: { signInUrl: '/sign-in' }, ...options, storage: troubled
  }, parts)
  return { app, origin: `http://127.0.0.1:${await portOf(app)}`, storage, trouble }
}

/** Gives the window the cookie of a session. */
export async function signIn (page: Page, { origin }: Pick<PageHost, 'origin'>, accountId = ACCOUNT): Promise<void> {
  await page.context().addCookies([{ name: 'session', value: `token-${accountId}`, url: origin }])
}

/** The host makes what is asked for there by POST, and its answers are lost on the way. */
export async function loseAnswers (page: Page, path: string): Promise<void> {
  await page.route(`**${path}`, async (route) => {
    if (route.request().method() !== 'POST') return await route.continue()
    await route.fetch()
    await route.abort('connectionreset')
  })
}

/** Accessible and without anything that sticks out of the page or a dialog, light, dark and on a phone; a picture of each. */
export async function looksRight (t: Test, page: Page, name: string): Promise<void> {
  const looks = [['light', 1280], ['dark', 1280], ['light', 360]] as const
  for (const [colorScheme, width] of looks) {
    const look = `${name}-${width === 360 ? 'narrow' : colorScheme}`
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 800 })
    await checkAccessibility(t, page, look)
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${look}: nothing sticks out`)
    for (const dialog of await page.getByRole('dialog').all()) {
      t.equal(await dialog.evaluate((element: any) => element.scrollWidth - element.clientWidth), 0, `${look}: nor out of the dialog`)
    }
    await shoot(page, look)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 1280, height: 800 })
}
