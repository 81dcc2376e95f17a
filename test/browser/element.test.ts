// The element in a page of the host's own: what it needs of that page, what it takes from it, and what it sends.
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { SelfServeKeysOptions } from '../../lib/index.js'
import { HOST, makeKey } from '../helpers/account.js'
import { checkAccessibility, inWindow, shoot, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { login } from '../helpers/host.js'
import { ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { attributesOf, bundled, elementScript, ownPage, SERVED, sentBy, type OwnPage } from '../helpers/own-page.js'
import { pageHost, signIn, type PageHost } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'
const POLICY = '/v1/me/policy'
const TOKEN = `token-${ACCOUNT}`
/** Tokens as a host gets them that keeps its own. */
const SET_UP = `Object.assign(document.querySelector('self-serve-keys'), {
  getToken: async () => '${TOKEN}', headers: { 'x-gateway': 'open sesame' }, features: { audit: false }, texts: { 'keys.create': 'New key' }
})`

t.setTimeout(60_000)

t.test('the element in a page of the host’s own', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)
  const owned = async (t: Test, page: OwnPage, options: Partial<SelfServeKeysOptions> = {}): Promise<PageHost> =>
    await pageHost(t, options, { after: (app) => { ownPage(app, page) } })

  const ways: Record<string, OwnPage> = {
    'set up before it is defined': { host: SET_UP },
    'set up after it is defined': { host: SET_UP, scripts: [SERVED, '/host.js'] },
    'bundled with the host’s program': {
      scripts: ['/bundle.js'],
      body: '',
      bundle: await bundled(`
        import 'fastify-self-serve-keys/element'
        const element = document.createElement('self-serve-keys')
        element.base = '/v1/me'
        document.querySelector('main').append(element)
        ${SET_UP}`)
    }
  }
  for (const [way, own] of Object.entries(ways)) {
    await t.test(`${way}, it works under the strictest policy, and takes what it is given`, async (t) => {
      const host = await owned(t, own)
      await inWindow(t, browser, host, async (page) => {
        await signIn(page, host)
        const sent = sentBy(page)
        await page.goto('/own')
        await page.getByRole('button', { name: 'Issue the default live key' }).click()
        const plaintext = await page.getByRole('group', { name: 'API key' }).textContent()
        t.match(plaintext, /^sk_live_\w{42}$/)
        const attributes = await attributesOf(page)
        for (const secret of [TOKEN, 'open sesame', plaintext!]) t.notOk(attributes.includes(secret), 'no attribute holds a secret')
        await page.getByRole('button', { name: 'I have stored it' }).click()
        await page.getByRole('button', { name: 'New key' }).waitFor()
        t.strictSame(await page.getByRole('tab').allTextContents(), ['Keys', 'Usage', 'Sites'], 'what is switched off is not there')
        const first = sent.findIndex(({ headers }) => headers['x-gateway'] !== undefined)
        t.equal(first > 0 && own.scripts?.at(-1) !== '/host.js', false, 'from the first request on')
        t.strictSame([...new Set(sent.slice(first).map(({ headers }) => headers['x-gateway']))], ['open sesame'], 'in every request')
        t.strictSame([...new Set(sent.map(({ method, headers }) => `${method} ${headers.authorization ?? 'as the cookie says'}`))].sort(),
          ['GET as the cookie says', `POST Bearer ${TOKEN}`])
        t.strictSame(await page.evaluate("Object.keys(document.querySelector('self-serve-keys'))"), [])
        await checkAccessibility(t, page, way)
        await shoot(page, `element-${way.replace(/\W+/g, '-')}`)
      })
    })
  }

  await t.test('every property may be set before it is defined', async (t) => {
    const host = await owned(t, {
      body: '<self-serve-keys></self-serve-keys>',
      host: "Object.assign(document.querySelector('self-serve-keys'), { base: '/v1/me', signInUrl: '/login', exampleUrl: '/v1/blocks', keyHeader: 'authorization' })"
    })
    const complaints = [KEYS, POLICY].map((path) => `401 GET ${path}`)
    await inWindow(t, browser, { ...host, complaints }, async (page) => {
      await page.goto('/own')
      t.equal(await page.getByRole('link', { name: 'Sign in' }).getAttribute('href'), '/login')
      const element = page.locator('self-serve-keys')
      t.equal(await element.getAttribute('example-url'), '/v1/blocks')
      t.equal(await element.getAttribute('key-header'), 'authorization')
    })
  })

  await t.test('what is not to be shown is hidden, by the attribute and by the property, also later', async (t) => {
    const host = await owned(t, { body: '<self-serve-keys features="keys usage sites"></self-serve-keys>' })
    await makeKey(host.app)
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      await page.getByText('Server').waitFor()
      t.strictSame(await page.getByRole('tab').allTextContents(), ['Keys', 'Usage', 'Sites'])
      t.equal(await page.getByText('Default live key').count(), 0)
      await page.evaluate("document.querySelector('self-serve-keys').features = { keys: false, audit: true }")
      await page.getByRole('tab', { name: 'Usage', selected: true }).waitFor()
      t.strictSame(await page.getByRole('tab').allTextContents(), ['Usage', 'Sites'])
      t.equal(await page.getByText('Server').count(), 0)
    })
  })

  await t.test('where no cookie signs anybody in, the token reads and changes', async (t) => {
    const host = await owned(t, { scripts: ['/host.js', '/bundle.js'], host: SET_UP, bundle: elementScript() }, { session: { bearer: login.bearer }, dashboard: false })
    const { publicId } = await makeKey(host.app)
    await inWindow(t, browser, { ...host, complaints: [`401 GET ${KEYS}`, `401 GET ${POLICY}`] }, async (page) => {
      const sent = sentBy(page)
      await page.goto('/own')
      await page.getByRole('button', { name: 'Manage Server' }).click()
      await page.getByRole('button', { name: 'Revoke' }).click()
      await page.getByRole('button', { name: 'Revoke key' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      await page.getByRole('button', { name: 'Refresh' }).click()
      await page.getByText('No key matches the filter.').waitFor()
      t.equal((await host.app.selfServeKeys.keys.get(ACCOUNT, publicId)).status, 'revoked')
      t.equal(sent.filter(({ headers }) => headers.authorization === undefined).length, 2, 'that no cookie reads is learnt once')
    })
  })

  await t.test('without a token changes go with the cookies, where the host lets them', async (t) => {
    for (const lets of [true, false]) {
      const host = await owned(t, { host: "document.addEventListener('auth-required', ({ detail }) => { document.title = detail.during })" }, lets ? { cookieMutations: { origins: [] } } : {})
      await inWindow(t, browser, { ...host, complaints: lets ? [] : [`403 POST ${KEYS}`] }, async (page) => {
        await signIn(page, host)
        const sent = sentBy(page)
        await page.goto('/own')
        await page.getByRole('button', { name: 'Issue the default live key' }).click()
        if (lets) await page.getByRole('button', { name: 'I have stored it' }).click()
        else await page.getByRole('alert').getByText('Changes need a session token, which this page could not get. Sign in again.').waitFor()
        t.same(sent.filter(({ headers }) => headers.authorization !== undefined), [])
        t.equal(await page.title(), lets ? 'Account' : 'change')
        t.equal((await host.app.selfServeKeys.keys.count(ACCOUNT)).total, lets ? 1 : 0)
      })
    }
  })

  await t.test('custom properties and parts style it', async (t) => {
    const host = await owned(t, { style: 'self-serve-keys { --ssk-accent: #7a1fa2; --ssk-radius: 2px } self-serve-keys::part(button) { letter-spacing: 2px }' })
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      t.strictSame(await looksOf(page, 'Create key'), { backgroundColor: 'rgb(122, 31, 162)', borderRadius: '1.5px', letterSpacing: '2px' })
      t.match(await looksOf(page, 'Refresh'), { letterSpacing: '2px' })
      await checkAccessibility(t, page, 'styled')
      await shoot(page, 'element-styled')
    })
  })

  await t.test('other words, and the numbers and times of the page’s language', async (t) => {
    const host = await owned(t, {
      lang: 'de', host: `document.querySelector('self-serve-keys').texts = {
        'keys.create': 'Schlüssel anlegen', 'keys.room': '{active} von {max} Schlüsseln', 'key.by': 'von {name}', nothing: 'unknown',
        'audit.total.one': '{count} Eintrag', 'audit.total.other': '{count} Einträge'
      }`
    }, { policy: { resolve: () => ({ rateLimits: [{ max: 12_000, timeWindow: '1 hour' }] }) } })
    const { apiKey } = await makeKey(host.app, { label: 'Büro' })
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      await page.getByRole('button', { name: 'Schlüssel anlegen' }).waitFor()
      await page.getByText('1 von 100 Schlüsseln').waitFor()
      await page.getByText('12.000 of 12.000 left').waitFor()
      await page.getByText(new Intl.DateTimeFormat('de', { dateStyle: 'medium', timeZone: 'UTC' }).format(new Date(apiKey.createdAt))).first().waitFor()
      await page.getByRole('tab', { name: 'Audit log' }).click()
      await page.getByText('1 Eintrag', { exact: true }).waitFor()
      await host.app.selfServeKeys.keys.update(HOST, apiKey.publicId, { label: 'Haus' })
      await page.evaluate("document.querySelector('self-serve-keys').reload()")
      await page.getByText('2 Einträge', { exact: true }).waitFor()
      for (const lang of ['', 'en_US', 'xx']) {
        await page.evaluate(`document.querySelector('self-serve-keys').lang = '${lang}'`)
        await page.getByText('2 Einträge', { exact: true }).waitFor()
      }
      await page.getByRole('tab', { name: 'Keys' }).click()
      await page.getByText('12,000 of 12,000 left').waitFor()
    })
  })
})

async function looksOf (page: Page, button: string): Promise<Record<string, string>> {
  return await page.getByRole('button', { name: button }).evaluate((button: any) => {
    const { backgroundColor, borderRadius, letterSpacing } = button.ownerDocument.defaultView.getComputedStyle(button)
    return { backgroundColor, borderRadius, letterSpacing }
  })
}
