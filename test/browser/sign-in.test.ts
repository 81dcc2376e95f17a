// The quickstart's own login pages, in a browser.
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { checkAccessibility, inWindow, shoot, startBrowser, whyNoBrowser, type WindowSettings } from '../helpers/browser.js'
import { enter, PASSWORD, signUp } from '../helpers/key-page.js'
import { leftOut } from '../helpers/left-out.js'
import { startQuickstart } from '../helpers/quickstart.js'

const WRONG = 'Invalid email or password'

t.setTimeout(120_000)

t.test('the login pages', leftOut(whyNoBrowser()), async (t) => {
  const quickstart = await startQuickstart(t, t.testdir())
  const { origin } = quickstart
  const browser = await startBrowser(t)

  await t.test('whoever signs up is signed in, and led to the keys', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await signUp(page, 'Ada Lovelace')
      await page.getByRole('button', { name: 'Create key' }).waitFor()
      t.match(await page.context().cookies(), [{ name: 'better-auth.session_token', httpOnly: true, sameSite: 'Lax' }])
    })
  })

  await t.test('whoever comes first to the server itself is led to the keys, from there to sign in, and back', async (t) => {
    const complaints = ['/api/v1/me/api-keys', '/api/v1/me/policy', '/api-key/token'].map((path) => `401 GET ${path}`)
    await inWindow(t, browser, { origin, complaints }, async (page) => {
      await page.goto('/')
      t.equal(new URL(page.url()).pathname, '/api-key')
      await page.getByRole('link', { name: 'Sign in' }).click()
      await page.waitForURL('/sign-in')
      await enter(page, 'ada.lovelace@example.com')
      await page.waitForURL('/api-key')
      await page.getByRole('link', { name: 'Sign out' }).click()
      await page.waitForURL('/sign-out')
      await page.getByRole('link', { name: 'Back to your API keys' }).click()
      await page.getByRole('button', { name: 'Create key' }).waitFor()
    })
  })

  await t.test('a wrong password is answered with its reason, and the right one leads on', async (t) => {
    await inWindow(t, browser, { origin, complaints: ['401 POST /api/auth/sign-in/email'] }, async (page) => {
      await page.goto('/sign-in')
      await enter(page, 'ada.lovelace@example.com', 'wrong')
      await page.getByRole('alert').getByText(WRONG).waitFor()
      t.strictSame(await page.context().cookies(), [], 'nobody is signed in')
      t.equal(await page.getByLabel('E-mail').inputValue(), 'ada.lovelace@example.com', 'what was typed is still there')
      await checkAccessibility(t, page, 'with the reason')
      await shoot(page, 'sign-in-wrong-password')
      await enter(page, 'ada.lovelace@example.com')
      await page.waitForURL('/api-key')
    })
  })

  await t.test('a name that is taken, and a server that is gone, are told too', async (t) => {
    const complaints = ['422 POST /api/auth/sign-up/email', 'net::ERR_INTERNET_DISCONNECTED POST /api/auth/sign-up/email']
    await inWindow(t, browser, { origin, complaints }, async (page) => {
      await page.goto('/sign-up')
      await page.getByLabel('Name').fill('Ada')
      await page.context().setOffline(true)
      await enter(page, 'ada.lovelace@example.com')
      await page.getByRole('alert').getByText('The server gave no answer. Try again.').waitFor()
      await page.context().setOffline(false)
      await page.keyboard.press('Enter')
      await page.getByRole('alert').getByText('User already exists').waitFor()
      await enter(page, 'byron@example.com')
      await page.waitForURL('/api-key')
    })
  })

  await t.test('the keyboard alone is enough, field by field in the order they stand', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/sign-in')
      for (const name of ['E-mail', 'Password', 'Sign in', 'Sign up']) t.equal(await nextFocus(page), name)
      await page.keyboard.press('Enter')
      await page.waitForURL('/sign-up')
      for (const [name, value] of [['Name', 'Grace'], ['E-mail', 'grace@example.com'], ['Password', PASSWORD]]) {
        t.equal(await nextFocus(page), name)
        await page.keyboard.type(value!)
      }
      t.equal(await nextFocus(page), 'Sign up')
      await page.keyboard.press('Space')
      await page.waitForURL('/api-key')
    })
  })

  await t.test('two presses of the button are one sign-up', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      const sent: string[] = []
      let release!: () => void
      const pressedTwice = new Promise<void>((resolve) => { release = resolve })
      await page.route('/api/auth/**', async (route) => {
        sent.push(route.request().url())
        await pressedTwice
        await route.continue()
      })
      await page.goto('/sign-up')
      await page.getByLabel('Name').fill('Edsger')
      await enter(page, 'edsger@example.com')
      await page.getByRole('button').click()
      release()
      await page.waitForURL('/api-key')
      t.strictSame(sent, [`${origin}/api/auth/sign-up/email`])
    })
  })

  await t.test('a short password is refused by the page itself', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/sign-up')
      await page.getByLabel('Name').fill('Alan')
      await enter(page, 'alan@example.com', 'short')
      t.equal(await page.locator('input:invalid').getAttribute('name'), 'password')
      t.equal(new URL(page.url()).pathname, '/sign-up')
    })
  })

  await t.test('signing out ends the session', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/sign-in')
      await enter(page, 'ada.lovelace@example.com')
      await page.waitForURL('/api-key')
      const cookies = await page.context().cookies()
      const keysOf = async (): Promise<number> => (await quickstart.request('GET', '/api/v1/me/api-keys', {
        headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') }
      })).status
      t.equal(await keysOf(), 200)
      await page.goto('/sign-out')
      t.equal(await keysOf(), 200, 'not by the visit')
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL('/sign-in')
      t.strictSame(await page.context().cookies(), [])
      t.equal(await keysOf(), 401)
    })
  })

  await t.test('the server goes by localhost too, and by no other name', async (t) => {
    const local = origin.replace('127.0.0.1', 'localhost')
    await inWindow(t, browser, { origin: local }, async (page) => {
      await signUp(page, 'Barbara Liskov')
      await page.goto('/sign-out')
      await page.getByRole('button').click()
      await page.waitForURL('/sign-in')
    })
    for (const stranger of ['http://localhost:1', `${local}.other.example`, 'null']) {
      const { status } = await quickstart.request('POST', '/api/auth/sign-in/email', {
        headers: { origin: stranger, 'sec-fetch-site': 'cross-site' }, body: { email: 'ada.lovelace@example.com', password: PASSWORD }
      })
      t.equal(status, 403, stranger)
    }
  })

  await t.test('the pages hold to a strict policy, and are in no document', async (t) => {
    const types = { '/sign-in': 'html', '/sign-up': 'html', '/sign-out': 'html', '/sign-in/script.js': 'javascript', '/sign-in/style.css': 'css' }
    for (const [path, type] of Object.entries(types)) {
      const { status, headers } = await quickstart.request('GET', path)
      t.match({ status, headers }, {
        status: 200, headers: { 'content-type': `text/${type}; charset=utf-8`, 'x-content-type-options': 'nosniff', 'content-security-policy': /^default-src 'none'; script-src 'self'; / }
      }, path)
    }
    t.notMatch(Object.keys((await quickstart.request('GET', '/docs/json')).json.paths).join(), 'sign')
    t.equal((await quickstart.request('GET', '/docs/json')).headers['content-security-policy'], undefined, 'other routes are as they were')
  })

  await t.test('they are accessible and fit, light and dark, wide and narrow', async (t) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const [size, width] of [['wide', 1280], ['narrow', 360]] as const) await looksRight(t, browser, { origin, colorScheme, width }, `${colorScheme}-${size}`)
    }
  })
})

async function looksRight (t: Test, browser: Browser, settings: WindowSettings, variant: string): Promise<void> {
  await inWindow(t, browser, settings, async (page) => {
    for (const name of ['sign-in', 'sign-up', 'sign-out']) {
      await page.goto(`/${name}`)
      await checkAccessibility(t, page, `${name} ${variant}`)
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), settings.width, 'nothing sticks out')
      await shoot(page, `${name}-${variant}`)
    }
  })
}

/** The label or text of what the next Tab leads to. */
async function nextFocus (page: Page): Promise<string | null> {
  await page.keyboard.press('Tab')
  const focused = page.locator(':focus')
  const id = await focused.getAttribute('id')
  return await (id === null ? focused : page.locator(`label[for="${id}"]`)).textContent()
}
