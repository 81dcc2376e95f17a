// Changes that the server refuses, limits or answers in vain: what the page says, what it keeps, and what is then true.
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { HOST, makeKey } from '../helpers/account.js'
import { inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { looksRight, loseAnswers, pageHost, signIn, type PageHost } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'
const PHONE = { width: 360, height: 600 }
const DAY = 24 * 60 * 60 * 1000

t.setTimeout(60_000)

t.test('changes that do not succeed', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)

  await t.test('one that comes too soon says when to come back', async (t) => {
    const host = await pageHost(t, { accountRoutes: { rateLimit: { max: 1, timeWindow: '1 minute' } } })
    await inWindow(t, browser, { ...host, complaints: [`429 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      await send(await fillIn(page, 'First'))
      await store(page)
      const dialog = await fillIn(page, 'Second')
      await send(dialog)
      t.match(await dialog.getByRole('alert').textContent(), /^That was too often\. Try again in (1 min|\d\d sec)\.$/)
      t.equal(await dialog.getByLabel('Label').inputValue(), 'Second')
      await looksRight(t, page, 'refusal-too-often')
      t.same(await count(host), { total: 1, active: 1 })
    })
  })

  await t.test('one key more than the account may have is refused with what to do', async (t) => {
    const host = await pageHost(t, { policy: { resolve: () => ({ maxKeys: 1 }) } })
    await makeKey(host.app)
    await inWindow(t, browser, { ...host, complaints: [`409 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      await page.getByText('1 of 1 keys in use').waitFor()
      const dialog = await fillIn(page, 'Second')
      await send(dialog)
      await dialog.getByRole('alert').getByText('The account has as many keys as it may have. Revoke one you no longer need.').waitFor()
      await looksRight(t, page, 'refusal-key-limit')
      t.same(await count(host), { total: 1, active: 1 })
    })
  })

  await t.test('a field that is wrong says so itself, even where it was folded away', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, ...PHONE, complaints: [`400 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      const dialog = await fillIn(page, 'Website')
      const origins = dialog.getByLabel('Allowed origins')
      await dialog.getByText('Restrictions').click()
      await origins.fill('https://example.com\nnonsense')
      await dialog.getByText('Restrictions').click()
      t.notOk(await origins.isVisible())
      await send(dialog)
      await dialog.locator('textarea[aria-invalid=true]').waitFor()
      t.ok(await origins.isVisible())
      t.equal(await dialog.locator(':focus').getAttribute('id'), await origins.getAttribute('id'))
      t.match(await descriptionOf(origins), / Line 2: must be an origin such as /)
      t.ok(await inSight(dialog.getByText('Line 2')))
      t.equal(await dialog.getByRole('alert').count(), 0)
      t.equal(await dialog.locator('[aria-invalid=true]').count(), 1, 'no other field is wrong')
      await looksRight(t, page, 'refusal-field')
      await origins.fill('https://example.com')
      await send(dialog)
      await store(page)
      t.match((await host.app.selfServeKeys.keys.list(ACCOUNT)).apiKeys, [{ label: 'Website', allowedOrigins: ['https://example.com'] }])
    })
  })

  await t.test('a failing storage is told where the button was pressed, and another press works', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, ...PHONE, complaints: [`503 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      const dialog = await fillIn(page, 'Server')
      host.trouble.before = async () => { throw new Error('the database is gone') }
      await send(dialog)
      const notice = dialog.getByRole('alert').getByText('A part of the service is not available.')
      await notice.waitFor()
      t.ok(await inSight(notice), 'though the button is far below')
      host.trouble.before = null
      await send(dialog)
      await store(page)
      t.same(await count(host), { total: 1, active: 1 })
    })
  })

  await t.test('a label counts by characters, as its reader does: a hundred of any are taken, one more is refused at its field', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, complaints: [`400 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      const dialog = await fillIn(page, '🔑'.repeat(101))
      await send(dialog)
      await dialog.getByText('must be text of 1 to 100 characters').waitFor()
      t.equal(await dialog.getByLabel('Label').getAttribute('aria-invalid'), 'true')
      t.same(await count(host), { total: 0, active: 0 })
      await dialog.getByLabel('Label').fill('🔑'.repeat(100))
      await send(dialog)
      await store(page)
      t.same(await count(host), { total: 1, active: 1 })
    })
  })

  await t.test('a key whose answer was lost is made once, and its loss is told', async (t) => {
    const host = await pageHost(t)
    await inWindow(t, browser, { ...host, complaints: [`net::ERR_CONNECTION_RESET POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      await loseAnswers(page, KEYS)
      const dialog = await fillIn(page, 'Server')
      await send(dialog)
      await dialog.getByRole('alert').getByText('The server could not be reached. Nothing may have changed; it is safe to try again.').waitFor()
      t.same(await count(host), { total: 1, active: 1 })
      await page.unroute(`**${KEYS}`)
      await send(dialog)
      const lost = page.getByRole('dialog', { name: 'The key was issued, but its secret is lost' })
      await lost.getByText('Rotate “Server” to get another.').waitFor()
      await looksRight(t, page, 'refusal-secret-lost')
      await lost.getByRole('button', { name: 'Close' }).click()
      t.equal(await page.getByRole('row').filter({ hasText: 'Server' }).count(), 1)
      t.same(await count(host), { total: 1, active: 1 })
    })
  })

  await t.test('a suspended account is told so, and may issue nothing until that ends', async (t) => {
    let suspended = false
    const host = await pageHost(t, { policy: { resolve: () => ({ suspended }) } })
    const suspend = (yes: boolean): void => {
      suspended = yes
      host.app.selfServeKeys.policy.invalidate(ACCOUNT)
    }
    const text = 'This account is suspended: its keys are refused until that ends.'
    await makeKey(host.app)
    suspend(true)
    await inWindow(t, browser, { ...host, complaints: [`403 POST ${KEYS}`] }, async (page) => {
      await visit(page, host)
      await page.getByRole('alert').getByText(text).waitFor()
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await page.getByRole('alert').getByText('The account is suspended.').waitFor()
      await looksRight(t, page, 'refusal-suspended')
      t.same(await count(host), { total: 1, active: 1 })
      suspend(false)
      await page.getByRole('button', { name: 'Refresh' }).click()
      await page.getByText(text).waitFor({ state: 'detached' })
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await store(page)
      t.equal(await page.getByRole('alert').count(), 0)
    })
  })

  await t.test('the form offers what the plan grants, and no more', async (t) => {
    const host = await pageHost(t, { policy: { resolve: () => ({ grantableScopes: ['blocks:read'], requireExpiry: true, maxLifetime: '60 days' }) } })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const dialog = await fillIn(page, 'Server')
      t.ok(await dialog.getByRole('checkbox', { name: 'blocks:read' }).isChecked())
      const other = dialog.getByRole('checkbox', { name: 'transactions:write Submit transactions (not in your plan)' })
      t.ok(await other.isDisabled())
      t.notOk(await other.isChecked())
      const expires = dialog.getByLabel('Expires')
      t.strictSame(await expires.locator('option').allTextContents(), ['After 60 days', 'After 30 days', 'On a day of your choice'])
      await expires.selectOption('On a day of your choice')
      await dialog.getByText('At most 60 days.').waitFor()
      await send(dialog)
      t.match(await descriptionOf(dialog.getByLabel('Last day')), /Choose the last day\.$/)
      await looksRight(t, page, 'refusal-plan')
      await expires.selectOption('After 30 days')
      const from = Date.now()
      await send(dialog)
      await store(page)
      const [apiKey] = (await host.app.selfServeKeys.keys.list(ACCOUNT)).apiKeys
      t.match(apiKey, { label: 'Server', scopes: ['blocks:read'] })
      const lives = Date.parse(apiKey!.expiresAt!) - from
      t.ok(lives >= 30 * DAY && lives < 30 * DAY + 60_000)
    })
  })

  await t.test('a key that the host disabled is the host’s to bring back', async (t) => {
    const host = await pageHost(t)
    const { publicId } = await host.app.selfServeKeys.keys.issueDefault(HOST).then(({ apiKey }) => apiKey)
    await host.app.selfServeKeys.keys.update(HOST, publicId, { enabled: false })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const row = page.getByRole('row').filter({ hasText: 'Default' })
      await row.getByText('Disabledby the provider').waitFor()
      t.equal(await page.getByRole('button', { name: 'Rotate the default live key' }).count(), 0)
      await row.getByRole('button').click()
      const dialog = page.getByRole('dialog')
      await dialog.getByText('The provider disabled this key. Only they can enable it.').waitFor()
      t.strictSame(await dialog.getByRole('button').allTextContents(), ['Close', 'Edit', 'Revoke'])
      await looksRight(t, page, 'refusal-disabled-by-host')
    })
  })
})

async function visit (page: Page, host: PageHost): Promise<void> {
  await signIn(page, host)
  await page.goto('/api-key')
  await page.getByRole('button', { name: 'Create key' }).waitFor()
}

/** Opens the form, and names the key. */
async function fillIn (page: Page, label: string): Promise<Locator> {
  await page.getByRole('button', { name: 'Create key' }).click()
  const dialog = page.getByRole('dialog', { name: 'Create a key' })
  await dialog.getByLabel('Label').fill(label)
  return dialog
}

async function send (dialog: Locator): Promise<void> {
  await dialog.getByRole('button', { name: 'Create key' }).click()
}

async function store (page: Page): Promise<void> {
  await page.getByRole('dialog', { name: 'Your new key' }).getByRole('button', { name: 'I have stored it' }).click()
}

/** What somebody who does not see a field hears of it besides its label. */
async function descriptionOf (field: Locator): Promise<string> {
  return await field.evaluate((field: any) =>
    field.getAttribute('aria-describedby').split(' ').map((id: string) => field.getRootNode().getElementById(id).textContent).join(' '))
}

/** Of a phone. */
async function inSight (what: Locator): Promise<boolean> {
  const { y, height } = (await what.boundingBox())!
  return y > 0 && y + height < PHONE.height
}

async function count ({ app }: PageHost): Promise<{ total: number, active: number }> {
  return await app.selfServeKeys.keys.count(ACCOUNT)
}
