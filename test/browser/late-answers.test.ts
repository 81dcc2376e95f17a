// Answers that come after their reader went on: no dialog but their own is closed by them, and no new key is lost.
import type { Page } from 'playwright-core'
import t from 'tap'
import { makeKey } from '../helpers/account.js'
import { deferred } from '../helpers/app.js'
import { inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { manage, rowOf, shownKey, storeKey } from '../helpers/key-page.js'
import { ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { loseAnswers, pageHost, signIn, type PageHost } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'

t.setTimeout(60_000)

t.test('late answers', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)

  /** Presses "Revoke key" and goes on before the answer is there. */
  async function revokeAndGoOn (page: Page): Promise<Awaited<ReturnType<typeof holdBack>>> {
    await manage(page, 'Old', 'Revoke')
    const answer = await holdBack(page, 'DELETE')
    await page.getByRole('button', { name: 'Revoke key' }).click()
    await answer.asked
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Close' }).click()
    return answer
  }

  await t.test('a key that was revoked meanwhile leaves a form that is open by then, and what was typed', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app, { label: 'Old' })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const answer = await revokeAndGoOn(page)
      await page.getByRole('button', { name: 'Create key' }).click()
      await page.getByRole('dialog').getByLabel('Label').fill('Typed')
      answer.come()
      await page.getByRole('status').filter({ hasText: 'The key is revoked.' }).last().waitFor({ state: 'attached' })
      await rowOf(page, 'Old').waitFor({ state: 'detached' })
      t.equal(await page.getByRole('dialog').getByLabel('Label').inputValue(), 'Typed')
    })
  })

  await t.test('nor does it close the new key that is shown', async (t) => {
    const host = await pageHost(t)
    await makeKey(host.app, { label: 'Old' })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const answer = await revokeAndGoOn(page)
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      const plaintext = await shownKey(page)
      answer.come()
      await page.getByRole('dialog').getByRole('status').getByText('The key is revoked.').waitFor()
      t.equal(await shownKey(page), plaintext)
      await storeKey(page)
      await rowOf(page, 'Default').waitFor()
    })
  })

  await t.test('new keys are shown one after the other, also where their section is no longer shown', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const answer = await holdBack(page, 'POST')
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await answer.asked
      await page.getByRole('tab', { name: 'Audit log' }).click()
      await page.getByRole('tab', { name: 'Keys' }).click()
      await page.getByRole('button', { name: 'Issue the default test key' }).click()
      t.match(await shownKey(page), /^sk_test_/)
      answer.come()
      await page.getByRole('dialog').getByRole('status').getByText('A new key was issued.').waitFor()
      t.match(await shownKey(page), /^sk_test_/)
      await page.getByRole('button', { name: 'I have stored it' }).click()
      await page.getByRole('dialog').getByText(/^sk_live_/).waitFor()
      t.match(await storeKey(page), /^sk_live_/)
      t.equal(await page.getByRole('dialog').count(), 0)
      t.equal((await host.app.selfServeKeys.keys.count(ACCOUNT)).total, 2)
    })
  })

  await t.test('a lost answer to a form with an expiry is asked for again by the same request', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, complaints: [`net::ERR_CONNECTION_RESET POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      await loseAnswers(page, KEYS)
      await page.getByRole('button', { name: 'Create key' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Label').fill('CI')
      await dialog.getByLabel('Expires').selectOption({ label: 'After 30 days' })
      await dialog.getByRole('button', { name: 'Create key' }).click()
      await dialog.getByRole('alert').getByText('The server could not be reached.').waitFor()
      await page.unroute(`**${KEYS}`)
      await dialog.getByRole('button', { name: 'Create key' }).click()
      await page.getByRole('dialog', { name: 'The key was issued, but its secret is lost' }).waitFor()
      t.same(await host.app.selfServeKeys.keys.count(ACCOUNT), { total: 1, active: 1 })
    })
  })

  await t.test('a page that was left and is brought back shows no plaintext, and what is there now', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      t.match(await shownKey(page), /^sk_live_/)
      await page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      await makeKey(host.app, { label: 'Made elsewhere' })
      await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
      await rowOf(page, 'Made elsewhere').waitFor()
    })
  })
})

async function visit (page: Page, host: PageHost): Promise<void> {
  await signIn(page, host)
  await page.goto('/api-key')
  await page.getByRole('button', { name: 'Create key' }).waitFor()
}

/** Keeps the answer to the next request with this method from the page until it is told to come; the host has made the change by then. */
async function holdBack (page: Page, method: string): Promise<{ asked: Promise<unknown>, come: () => void }> {
  const told = deferred()
  let held = false
  await page.route(`**${KEYS}*/**`, hold)
  await page.route(`**${KEYS}`, hold)
  return { asked: page.waitForRequest((request) => request.method() === method), come: told.resolve }

  async function hold (route: Parameters<Parameters<Page['route']>[1]>[0]): Promise<void> {
    if (held || route.request().method() !== method) return await route.continue()
    held = true
    const response = await route.fetch()
    await told.promise
    await route.fulfill({ response })
  }
}
