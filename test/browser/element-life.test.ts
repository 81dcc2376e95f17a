// The element while it lives in a page: what it tells, how it is asked anew, moved, taken away, and put beside another.
import type { Page } from 'playwright-core'
import t from 'tap'
import { HOST, makeKey } from '../helpers/account.js'
import { deferred } from '../helpers/app.js'
import { inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { ACCOUNT, OTHER_ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { ownPage, sentBy } from '../helpers/own-page.js'
import { pageHost, signIn } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'
const POLICY = '/v1/me/policy'
const ELEMENT = "document.querySelector('self-serve-keys')"
/** Tokens as the page at /api-key has them; each event is kept, with all that can be read of it. */
const SET_UP = `
  window.told = []
  for (const type of ['key-issued', 'key-revoked', 'auth-required']) {
    document.addEventListener(type, (event) => {
      const members = []
      for (const name in event) if (typeof event[name] !== 'object' && typeof event[name] !== 'function') members.push(event[name])
      told.push({ type, detail: event.detail, all: JSON.stringify([event.detail, members, Object.values(event)]) })
    })
  }
  for (const element of document.querySelectorAll('self-serve-keys')) {
    element.getToken = async () => {
      const answer = await fetch('/api-key/token')
      return answer.ok ? (await answer.json()).token : null
    }
  }`

t.setTimeout(60_000)

t.test('the life of the element', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)

  await t.test('it tells of keys and of missing sessions, each with what is documented and never a plaintext', async (t) => {
    const host = await pageHost(t, {}, { after: (app) => { ownPage(app, { host: SET_UP }) } })
    const complaints = [KEYS, POLICY, '/api-key/token'].map((path) => `401 GET ${path}`)
    await inWindow(t, browser, { ...host, complaints }, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      const plaintexts: string[] = []
      const stored = async (): Promise<void> => {
        plaintexts.push((await page.getByRole('group', { name: 'API key' }).textContent())!)
        await page.getByRole('button', { name: 'I have stored it' }).click()
      }
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await stored()
      await page.getByRole('button', { name: 'Rotate the default live key' }).click()
      await page.getByRole('button', { name: 'Rotate key' }).click()
      await stored()
      await page.getByRole('button', { name: 'Create key' }).click()
      await page.getByRole('textbox', { name: 'Label' }).fill('Laptop')
      await page.getByRole('dialog').getByRole('button', { name: 'Create key' }).click()
      await stored()
      await page.getByRole('button', { name: 'Manage Laptop' }).click()
      await page.getByRole('button', { name: 'Revoke' }).click()
      await page.getByRole('button', { name: 'Revoke key' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      await page.context().clearCookies()
      await page.getByRole('button', { name: 'Issue the default test key' }).click()
      await page.getByRole('alert').waitFor()
      await page.evaluate(`${ELEMENT}.reload()`)
      await until(page, 'told.length > 5')

      const [laptop, second, first] = (await host.app.selfServeKeys.keys.list(ACCOUNT)).apiKeys
      const byDefault = { label: 'Default', environment: 'live', access: 'secret' }
      const told = await toldIn(page)
      t.strictSame(told.map(({ type, detail }) => ({ type, detail })), [
        { type: 'key-issued', detail: { action: 'issued', publicId: first!.publicId, ...byDefault, replaced: [] } },
        { type: 'key-issued', detail: { action: 'rotated', publicId: second!.publicId, ...byDefault, replaced: [first!.publicId] } },
        { type: 'key-issued', detail: { action: 'issued', publicId: laptop!.publicId, ...byDefault, label: 'Laptop', replaced: [] } },
        { type: 'key-revoked', detail: { publicId: laptop!.publicId, label: 'Laptop' } },
        { type: 'auth-required', detail: { during: 'change' } },
        { type: 'auth-required', detail: { during: 'read' } }
      ])
      t.equal(plaintexts.length, 3)
      for (const plaintext of plaintexts) t.notOk(told.some(({ all }) => all.includes(plaintext)))
    })
  })

  await t.test('asked anew, it shows what is new, and keeps what is open', async (t) => {
    const host = await pageHost(t, {}, { after: (app) => { ownPage(app, { host: `${SET_UP}\ndocument.addEventListener('key-issued', () => { ${ELEMENT}.reload() })` }) } })
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      await page.getByText('No keys yet').waitFor()
      await makeKey(host.app, { label: 'Made elsewhere' })
      await page.evaluate(`${ELEMENT}.reload()`)
      await page.getByText('Made elsewhere').waitFor()
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await page.getByRole('row').filter({ hasText: 'Default' }).waitFor({ state: 'attached' })
      const asked = page.waitForResponse((answer) => answer.request().headers()['x-gateway'] === '1')
      await page.evaluate(`${ELEMENT}.getToken = async () => null; ${ELEMENT}.headers = { 'x-gateway': '1' }`)
      await asked
      t.match(await page.getByRole('group', { name: 'API key' }).textContent(), /^sk_live_\w{42}$/, 'the plaintext, which is shown once')
    })
  })

  await t.test('moved within the page, it keeps its state and asks for nothing', async (t) => {
    const host = await pageHost(t, {}, { after: (app) => { ownPage(app, { host: SET_UP, body: '<self-serve-keys></self-serve-keys><section id="other"></section>' }) } })
    await makeKey(host.app)
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      await page.getByLabel('Label or last characters').fill('serv')
      const sent = sentBy(page)
      await page.evaluate(`document.querySelector('#other').append(${ELEMENT})`)
      const moved = page.locator('#other self-serve-keys')
      t.equal(await moved.getByLabel('Label or last characters').inputValue(), 'serv')
      t.ok(await moved.getByRole('row').filter({ hasText: 'Server' }).isVisible())
      await page.evaluate('new Promise((done) => { requestAnimationFrame(() => { setTimeout(done) }) })')
      t.same(sent, [])
    })
  })

  await t.test('taken away, it ends its timers and asks for nothing any more; put back, it begins anew', async (t) => {
    const host = await pageHost(t, {}, { after: (app) => { ownPage(app, { host: SET_UP }) } })
    const { publicId } = await makeKey(host.app)
    await host.app.selfServeKeys.keys.rotate(HOST, publicId, { overlapSeconds: 3600 })
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      // Every timer that is set and not yet over.
      await page.addInitScript(`(() => {
        window.timers = new Set()
        for (const [set, clear] of [['setInterval', 'clearInterval'], ['setTimeout', 'clearTimeout']]) {
          const [setIt, clearIt] = [window[set], window[clear]]
          window[set] = (run, ...rest) => {
            const timer = setIt(() => { if (set === 'setTimeout') timers.delete(timer); run() }, ...rest)
            timers.add(timer)
            return timer
          }
          window[clear] = (timer) => { timers.delete(timer); clearIt(timer) }
        }
      })()`)
      await page.goto('/own')
      await page.getByText(/^Ends in /).waitFor()
      t.ok(await page.evaluate('timers.size > 0'), 'it counts down')

      // The answer to a change comes when it is gone.
      const told = deferred()
      await page.route(`**${KEYS}`, async (route) => {
        const answer = await route.fetch()
        await told.promise
        await route.fulfill({ response: answer })
      })
      const asked = page.waitForRequest((request) => request.method() === 'POST')
      await page.getByRole('button', { name: 'Issue the default live key' }).click()
      await asked
      const sent = sentBy(page)
      await page.evaluate(`window.kept = ${ELEMENT}; window.issued = 0; kept.addEventListener('key-issued', () => { issued++ }); kept.remove()`)
      told.resolve()
      await until(page, 'issued === 1')
      await page.evaluate("dispatchEvent(new Event('focus')); dispatchEvent(new Event('online'))")
      await until(page, 'timers.size === 0')
      t.same(sent, [])
      t.equal(await page.evaluate('kept.shadowRoot.textContent'), '', 'a plaintext that came is nowhere')

      await page.unroute(`**${KEYS}`)
      await page.evaluate("document.querySelector('main').append(kept)")
      await page.getByText(/^Ends in /).waitFor()
      t.equal(await page.getByRole('dialog').count(), 0)
    })
  })

  await t.test('two in one page each show their own', async (t) => {
    const host = await pageHost(t, {}, {
      after: (app) => { ownPage(app, { body: '<self-serve-keys id="a"></self-serve-keys><self-serve-keys id="b"></self-serve-keys>', host: `${SET_UP}\ndocument.querySelector('#b').getToken = () => 'token-${OTHER_ACCOUNT}'` }) }
    })
    await inWindow(t, browser, host, async (page) => {
      await signIn(page, host)
      await page.goto('/own')
      const [a, b] = [page.locator('#a'), page.locator('#b')]
      await a.getByLabel('Environment').waitFor({ state: 'detached' })
      await b.getByRole('tab', { name: 'Sites' }).click()
      t.equal(await a.getByRole('tab', { name: 'Keys' }).getAttribute('aria-selected'), 'true')
      await b.getByRole('tab', { name: 'Keys' }).click()
      await a.getByRole('button', { name: 'Issue the default live key' }).click()
      await a.getByRole('button', { name: 'I have stored it' }).click()
      await a.getByRole('button', { name: 'Rotate the default live key' }).waitFor()
      t.ok(await b.getByText('No keys yet').isVisible(), 'until it is asked anew')
      await b.getByRole('button', { name: 'Issue the default live key' }).click()
      await b.getByRole('button', { name: 'I have stored it' }).click()
      t.same(await Promise.all([ACCOUNT, OTHER_ACCOUNT].map(async (id) => (await host.app.selfServeKeys.keys.count(id)).total)), [1, 1], 'each with its own token')
    })
  })
})

/** Waits for what an expression says; Playwright's own way needs `eval`, which the page's policy forbids. */
async function until (page: Page, expression: string): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    const look = () => { if (${expression}) resolve(); else requestAnimationFrame(look) }
    look()
  })`)
}

async function toldIn (page: Page): Promise<Array<{ type: string, detail: unknown, all: string }>> {
  return await page.evaluate('told')
}
