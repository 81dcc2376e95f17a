// The page as a person meets it: how each of its states looks, where the focus goes, and what becomes of a session that ends.
import type { Page } from 'playwright-core'
import t from 'tap'
import { inWindow, startBrowser, stepsOf, whyNoBrowser } from '../helpers/browser.js'
import { enter, focused, manage, rowOf, shownKey, signInAgain, signOutElsewhere, signUp, storeKey, tabs } from '../helpers/key-page.js'
import { leftOut } from '../helpers/left-out.js'
import { looksRight } from '../helpers/page-host.js'
import { Person, startQuickstart } from '../helpers/quickstart.js'

/** What is asked for in vain where nobody is signed in: to look, and to make a change. */
const SIGNED_OUT = ['/api/v1/me/api-keys', '/api/v1/me/policy', '/api-key/token'].map((path) => `401 GET ${path}`)

t.setTimeout(120_000)

t.test('the page', leftOut(whyNoBrowser()), async (t) => {
  const quickstart = await startQuickstart(t, t.testdir(), { ACCOUNT_MUTATIONS_PER_MINUTE: '0' })
  const { origin } = quickstart
  const browser = await startBrowser(t)

  await t.test('it is accessible, fits and asks nobody else in each of its states', async (t) => {
    const ada = await new Person(quickstart, 'ada').signUp()
    await useKeys(ada)
    await inWindow(t, browser, { origin, complaints: [...SIGNED_OUT, '400 POST /api/v1/me/sites'] }, async (page) => {
      const asked = new Set<string>()
      page.on('request', (request) => { asked.add(new URL(request.url()).origin) })
      await visitStates(page, ada, async (name) => { await looksRight(t, page, name) })
      t.strictSame([...asked], [origin])
    })
  })

  await t.test('a table with long names is as wide as there is room, or a list of cards', async (t) => {
    await useLongNames(await new Person(quickstart, 'ada').signIn())
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/sign-in')
      await enter(page, 'ada@example.com', "ada's password")
      for (const section of ['Keys', 'Usage', 'Sites', 'Audit log']) {
        await page.getByRole('tab', { name: section }).click()
        await page.getByRole('table').first().waitFor()
        for (const width of [320, 600, 900, 985, 1000, 1100, 1920]) {
          await page.setViewportSize({ width, height: 800 })
          t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${section}: nothing sticks out at ${width} px`)
        }
      }
    })
  })

  await t.test('the focus goes through it in the order of what is seen', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await signUp(page, 'Grace Hopper')
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      const last4 = (await storeKey(page)).slice(-4)
      t.equal(await focused(page), 'heading API keys', 'the button that opened the dialog is gone')
      await page.reload()
      await rowOf(page, last4).waitFor()
      t.strictSame(await tabs(page, 12), [
        'link Blocks API keys', 'link API document', 'link Sign out', 'tab Keys', 'button Rotate the default live key', 'button Issue the default test key',
        'button Refresh', 'button Create key', 'searchbox Label or last characters', 'combobox Environment', 'combobox Status', `button Manage Default, sk_live_…${last4}`
      ])
      await page.keyboard.press('Enter')
      await page.getByRole('dialog').waitFor()
      t.strictSame(await tabs(page, 6), ['Close', 'Edit', 'Rotate', 'Renew', 'Disable', 'Revoke'].map((name) => `button ${name}`))
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      t.equal(await focused(page), `button Manage Default, sk_live_…${last4}`, 'what opened the dialog has the focus again')
    })
  })

  await t.test('the arrow keys go from section to section', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await signUp(page, 'Alan Turing')
      await page.getByRole('tab', { name: 'Keys' }).focus()
      for (const [key, name] of [['ArrowRight', 'Usage'], ['ArrowRight', 'Sites'], ['End', 'Audit log'], ['ArrowRight', 'Keys'], ['ArrowLeft', 'Audit log'], ['Home', 'Keys']] as const) {
        await page.keyboard.press(key)
        t.equal(await focused(page), `tab ${name}`)
        await page.getByRole('tabpanel', { name }).waitFor()
      }
    })
  })

  await t.test('a session that ends', async (t) => {
    await inWindow(t, browser, { origin, complaints: SIGNED_OUT }, async (page) => {
      const step = stepsOf(t)
      const dialog = page.getByRole('dialog')
      const email = 'edsger.dijkstra@example.com'
      await signUp(page, 'Edsger Dijkstra')
      const labels = async (): Promise<string[]> => (await (await page.request.get('/api/v1/me/api-keys')).json()).apiKeys.map(({ label }: any) => label)

      await step('what was typed outlives it, and is sent in the next', async (t) => {
        await page.getByRole('button', { name: 'Create key' }).click()
        await dialog.getByLabel('Label').fill('Typed before')
        await signOutElsewhere(page)
        await dialog.getByRole('button', { name: 'Create key' }).click()
        await dialog.getByRole('alert').getByText('Your session has ended.').waitFor()
        await signInAgain(page, email)
        t.equal(await dialog.getByLabel('Label').inputValue(), 'Typed before')
        t.strictSame(await labels(), [], 'nothing was made without a session')
        await dialog.getByRole('button', { name: 'Create key' }).click()
        await storeKey(page)
        t.strictSame(await labels(), ['Typed before'])
      })

      await step('it is told of at the next look, what was read stays, and whoever comes back goes on', async (t) => {
        await signOutElsewhere(page)
        await page.getByRole('button', { name: 'Refresh' }).click()
        const told = page.getByRole('alert').getByText('Your session has ended. Nothing you typed is lost')
        await told.waitFor()
        t.ok(await rowOf(page, 'Typed before').isVisible())
        await signInAgain(page, email)
        await page.evaluate('dispatchEvent(new Event("focus"))') // every tab of a browser without a screen has it
        await told.waitFor({ state: 'detached' })
        t.equal(await page.getByRole('alert').count(), 0)
      })
    })
  })
})

/** Goes from state to state of an account's page, and stays for a look at each. */
async function visitStates (page: Page, { email, password }: Person, look: (name: string) => Promise<void>): Promise<void> {
  const press = async (name: string): Promise<void> => { await page.getByRole('button', { name, exact: true }).click() }
  const section = async (name: string): Promise<void> => { await page.getByRole('tab', { name }).click() }
  const dialog = page.getByRole('dialog')
  const leave = async (): Promise<void> => {
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
  }

  await page.goto('/api-key')
  await page.getByText('You are not signed in').waitFor()
  await look('signed-out')

  await signUp(page, 'Newcomer')
  await look('keys-empty')
  for (const [name, text] of [['Usage', 'No requests in this window'], ['Sites', 'No sites yet'], ['Audit log', 'No entries yet']] as const) {
    await section(name)
    await page.getByText(text).waitFor()
    await look(`${name.split(' ')[0]!.toLowerCase()}-empty`)
  }

  await page.goto('/sign-in')
  await enter(page, email, password)
  await rowOf(page, 'Website').waitFor()
  await look('keys')
  await page.getByLabel('Status').selectOption('all')
  await look('keys-all')
  await page.getByLabel('Label or last characters').fill('no such key')
  await look('keys-no-match')
  await page.reload()

  await press('Create key')
  await dialog.waitFor()
  await look('create')
  await dialog.getByLabel('Publishable').check()
  await dialog.getByRole('button', { name: 'Create key' }).click()
  await dialog.getByText('Give the key a label.').waitFor()
  await look('create-faults')
  await dialog.getByLabel('Label').fill('Made on the page')
  await dialog.getByLabel('Secret').check()
  await dialog.getByRole('button', { name: 'Create key' }).click()
  await shownKey(page)
  await look('issued')
  await dialog.getByRole('radio', { name: 'Python' }).check()
  await look('issued-python')
  await storeKey(page)

  await manage(page, 'Website')
  await look('manage')
  await leave()
  for (const step of ['Edit', 'Rotate', 'Renew', 'Disable', 'Revoke']) {
    await manage(page, 'Default', step)
    await page.locator('[aria-busy=true]').waitFor({ state: 'detached' })
    await dialog.getByText('Loading').waitFor({ state: 'detached' })
    await look(step.toLowerCase())
    await leave()
  }

  await section('Usage')
  await page.getByText('Show as a table').click()
  await look('usage')
  await section('Sites')
  await press('Remove https://www.example.com')
  await look('site-remove')
  await leave()
  await page.getByLabel('Origin').fill('no origin')
  await press('Add site')
  await page.locator('[aria-invalid=true]').waitFor()
  await look('sites')
  await section('Audit log')
  await page.getByText(/\d+ entries/).first().waitFor()
  await look('audit')
  // What a context says of the network is forgotten with each debugging session that ends, such as that of axe.
  await page.evaluate('Object.defineProperty(navigator, "onLine", { value: false }); dispatchEvent(new Event("offline"))')
  await page.getByText('You are offline.').waitFor()
  await look('offline')

  await page.reload()
  await rowOf(page, 'Website').waitFor()
  await signOutElsewhere(page)
  await press('Refresh')
  await page.getByText('Your session has ended.').waitFor()
  await look('lost')
}

interface Made { plaintextKey: string, apiKey: { publicId: string } }

async function issue (person: Person, body: object): Promise<Made> {
  return (await person.me('POST', '/api-keys', { body })).json
}

async function call ({ quickstart }: Person, { plaintextKey }: Made, path = '/api/v1/blocks'): Promise<void> {
  await quickstart.request('GET', path, { headers: { 'x-api-key': plaintextKey } })
}

/** Labels and origins as long as they may be. */
async function useLongNames (person: Person): Promise<void> {
  await call(person, await issue(person, { label: 'W'.repeat(100), environment: 'test' }))
  const origin = `https://${'sub.'.repeat(20)}example.com`
  await issue(person, { label: 'Website', access: 'publishable', allowedOrigins: [origin] })
  await person.me('POST', '/sites', { body: { name: origin } })
}

/** Keys of every kind, some of them called. */
async function useKeys (person: Person): Promise<void> {
  const usual = await issue(person, {})
  const old = await issue(person, { label: 'Nightly export', scopes: ['blocks:read', 'transactions:write'], allowedIps: ['127.0.0.1', '2001:db8::/32'] })
  await person.me('POST', `/api-keys/${old.apiKey.publicId}/rotate`, { body: { overlapSeconds: 86_400 } })
  const off = await issue(person, { label: 'Staging', environment: 'test' })
  await person.me('PATCH', `/api-keys/${off.apiKey.publicId}`, { body: { enabled: false } })
  const gone = await issue(person, { label: 'Laptop that was lost' })
  await person.me('DELETE', `/api-keys/${gone.apiKey.publicId}`)
  await issue(person, { label: 'Website', access: 'publishable', allowedOrigins: ['https://www.example.com'] })
  await person.me('POST', '/sites', { body: { name: 'https://www.example.com' } })
  for (const key of [usual, usual, usual, old, off, gone]) await call(person, key)
  await call(person, usual, '/api/v1/blocks/2000000')
}
