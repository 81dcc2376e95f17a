// What the page shows while it waits, where something is missing, and how it comes back.
import type { Page } from 'playwright-core'
import t from 'tap'
import { makeKey } from '../helpers/account.js'
import { deferred } from '../helpers/app.js'
import { inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { leftOut } from '../helpers/left-out.js'
import { looksRight, pageHost, signIn } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'
const POLICY = '/v1/me/policy'
const OFFLINE = 'You are offline. What you see may be old, and nothing can be changed.'
const UNREACHED = 'The server could not be reached. Nothing may have changed; it is safe to try again.'
const DOWN = 'A part of the service is not available. Try again shortly.'

const storageFails = async (): Promise<never> => { throw new Error('the database is gone') }
const keyRow = (page: Page, label: string) => page.getByRole('row').filter({ hasText: label })

t.setTimeout(60_000)

t.test('states of the page', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)

  await t.test('until there is an answer it says that it is loading', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    const told = deferred()
    host.trouble.before = async () => { await told.promise }
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      const panel = page.getByRole('tabpanel', { name: 'Keys' })
      await panel.locator('[aria-busy=true]').getByText('Loading…').waitFor()
      t.equal(await page.getByRole('button', { name: 'Create key' }).count(), 0)
      await looksRight(t, page, 'state-loading')
      host.trouble.before = null
      told.resolve()
      await keyRow(page, 'Server').waitFor()
      t.equal(await panel.locator('[aria-busy=true]').count(), 0)
    })
  })

  await t.test('a failure is told, and asking again works once it is healed', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    host.trouble.before = storageFails
    await inWindow(t, browser, { ...host, complaints: [`503 GET ${KEYS}`, `503 GET ${POLICY}`] }, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      await page.getByRole('alert').getByText(DOWN).waitFor()
      await looksRight(t, page, 'state-failure')
      await page.getByRole('button', { name: 'Try again' }).click()
      await page.getByRole('alert').getByText(DOWN).waitFor()
      host.trouble.before = null
      await page.getByRole('button', { name: 'Try again' }).click()
      await keyRow(page, 'Server').waitFor()
      t.equal(await page.getByRole('alert').count(), 0)
    })
  })

  await t.test('what was shown stays under a failure that comes later', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    await inWindow(t, browser, { ...host, complaints: [`503 GET ${KEYS}`, `503 GET ${POLICY}`] }, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      await keyRow(page, 'Server').waitFor()
      host.trouble.before = storageFails
      await page.getByRole('button', { name: 'Refresh' }).click()
      await page.getByRole('alert').getByText(DOWN).waitFor()
      t.ok(await keyRow(page, 'Server').isVisible())
      await looksRight(t, page, 'state-old-and-failure')
      host.trouble.before = null
      await page.getByRole('button', { name: 'Try again' }).click()
      await page.getByRole('alert').waitFor({ state: 'detached' })
      t.ok(await keyRow(page, 'Server').isVisible())
    })
  })

  await t.test('offline it says so, changes nothing, and what is new is there once it is back', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    await inWindow(t, browser, { ...host, complaints: ['net::ERR_INTERNET_DISCONNECTED GET /api-key/token'] }, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      await keyRow(page, 'Server').waitFor()
      await page.context().setOffline(true)
      await page.getByRole('alert').getByText(OFFLINE).waitFor()
      t.ok(await keyRow(page, 'Server').isVisible())
      await page.getByRole('button', { name: 'Create key' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Label').fill('Laptop')
      await dialog.getByRole('button', { name: 'Create key' }).click()
      await dialog.getByRole('alert').getByText(UNREACHED).waitFor()
      await makeKey(host.app, { label: 'Made elsewhere' })
      await page.context().setOffline(false)
      await keyRow(page, 'Made elsewhere').waitFor()
      t.equal(await page.getByText(OFFLINE).count(), 0)
      t.equal(await dialog.getByLabel('Label').inputValue(), 'Laptop', 'what was typed is still there')
      t.same(await host.app.selfServeKeys.keys.count('user_a'), { total: 2, active: 2 })
    })
  })

  await t.test('where there is no answer it asks again by itself', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    const complaints = [KEYS, POLICY].map((path) => `net::ERR_CONNECTION_REFUSED GET ${path}`)
    await inWindow(t, browser, { ...host, complaints }, async (page) => {
      await page.clock.install()
      // What the browser says while a laptop wakes up.
      await page.addInitScript("Object.defineProperty(navigator, 'onLine', { value: false, configurable: true })")
      await signIn(page, host)
      await page.route('**/v1/me/**', async (route) => { await route.abort('connectionrefused') })
      await page.goto('/api-key')
      await page.getByRole('alert').getByText(OFFLINE).waitFor()
      await page.getByRole('alert').getByText(UNREACHED).waitFor()
      await looksRight(t, page, 'state-offline')
      const refused = page.waitForEvent('requestfailed')
      await page.evaluate("Object.defineProperty(navigator, 'onLine', { value: true }); dispatchEvent(new Event('online'))")
      await refused
      t.equal(await page.getByText(OFFLINE).count(), 0)
      await page.unroute('**/v1/me/**')
      const asked = page.waitForRequest(`**${KEYS}`)
      await page.clock.runFor(5000)
      await asked
      await keyRow(page, 'Server').waitFor()
      t.equal(await page.getByRole('alert').count(), 0)
    })
  })

  await t.test('whoever is not signed in is shown where to, and their keys when they come back', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    const complaints = [KEYS, POLICY, '/api-key/token'].map((path) => `401 GET ${path}`)
    await inWindow(t, browser, { ...host, complaints }, async (page) => {
      await page.goto('/api-key')
      t.equal(await page.getByRole('link', { name: 'Sign in' }).getAttribute('href'), '/sign-in')
      t.equal(await page.getByRole('tab').count(), 0)
      await looksRight(t, page, 'state-signed-out')
      await signIn(page, host)
      await page.evaluate("dispatchEvent(new Event('focus'))")
      await keyRow(page, 'Server').waitFor()
      t.equal(await page.getByRole('link', { name: 'Sign in' }).count(), 0)
    })
  })

  await t.test('a session that ends while a form is open costs nothing that was typed', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, complaints: ['401 GET /api-key/token'] }, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      await page.getByRole('button', { name: 'Create key' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Label').fill('Laptop')
      await page.context().clearCookies()
      await dialog.getByRole('button', { name: 'Create key' }).click()
      await dialog.getByRole('alert').getByText('Your session has ended.').waitFor()
      t.equal(await dialog.getByRole('link', { name: 'Sign in' }).getAttribute('target'), '_blank', 'in a tab of its own')
      await looksRight(t, page, 'state-session-lost')
      t.equal(await dialog.getByLabel('Label').inputValue(), 'Laptop')
      await signIn(page, host)
      await dialog.getByRole('button', { name: 'Create key' }).click()
      await page.getByRole('dialog', { name: 'Your new key' }).waitFor()
      await page.getByRole('button', { name: 'I have stored it' }).click()
      await keyRow(page, 'Laptop').waitFor()
      t.same(await host.app.selfServeKeys.keys.count('user_a'), { total: 1, active: 1 })
    })
  })

  await t.test('a session that ends while keys are shown is told once, over what was shown', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app)
    const complaints = [KEYS, POLICY, '/api-key/token'].map((path) => `401 GET ${path}`)
    await inWindow(t, browser, { ...host, complaints }, async (page) => {
      await signIn(page, host)
      await page.goto('/api-key')
      await keyRow(page, 'Server').waitFor()
      await page.context().clearCookies()
      await page.getByRole('button', { name: 'Refresh' }).click()
      await page.getByRole('alert').getByText('Your session has ended.').first().waitFor()
      await looksRight(t, page, 'state-session-lost-reading')
      t.equal(await page.getByRole('alert').count(), 1)
      t.ok(await keyRow(page, 'Server').isVisible())
      await signIn(page, host)
      await page.evaluate("dispatchEvent(new Event('focus'))")
      await page.getByRole('alert').waitFor({ state: 'detached' })
      t.ok(await keyRow(page, 'Server').isVisible())
    })
  })
})
