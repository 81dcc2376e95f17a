// Keys in number and of every sort: the list in pages, its filters, and labels that somebody means to break it with.
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t from 'tap'
import { HOST, makeKey } from '../helpers/account.js'
import { inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { ACCOUNT } from '../helpers/keys.js'
import { leftOut } from '../helpers/left-out.js'
import { looksRight, pageHost, signIn, type PageHost } from '../helpers/page-host.js'

const KEYS = '/v1/me/api-keys'
/** Each a label; what a page may take for its own, or be torn by. */
const LABELS = [
  'x'.repeat(100), 'a label of many words '.repeat(4).trim(), '<img src=x onerror="document.title=1">', '<b>bold</b> &amp; "quoted"', '{count} ${key}', // eslint-disable-line no-template-curly-in-string -- a label that looks like one
  'مفتاح الخادم الرئيسي', '\u202Etxt.yek', '👩‍👩‍👧 🔑 e\u0301', '  padded  ', 'line\nbreak'
]

t.setTimeout(60_000)

t.test('many keys', leftOut(whyNoBrowser()), async (t) => {
  const browser = await startBrowser(t)

  await t.test('older keys come when they are asked for, each once, and none is missing after a change', async (t) => {
    const host = await pageHost(t)
    const revoked: string[] = []
    for (let number = 0; number < 130; number++) {
      const { publicId } = await makeKey(host.app, { label: `Key ${number}` })
      if (number % 26 !== 0) revoked.push((await revoke(host.app, publicId)))
    }
    await inWindow(t, browser, { ...host, complaints: [`503 GET ${KEYS}?before=${revoked.at(-95)!}`] }, async (page) => {
      await visit(page, host)
      t.equal((await labelsIn(page)).length, 5, 'the current ones')
      t.equal(await page.getByRole('button', { name: 'Show older keys' }).count(), 0)
      await page.getByLabel('Status').selectOption('All')
      t.equal((await labelsIn(page)).length, 100)
      const older = page.getByRole('button', { name: 'Show older keys' })

      host.trouble.before = async () => { throw new Error('the database is gone') }
      await older.click()
      await page.getByRole('alert').getByText('A part of the service is not available.').waitFor()
      t.equal((await labelsIn(page)).length, 100, 'what was shown stays')
      host.trouble.before = null
      await older.dblclick()
      await older.waitFor({ state: 'detached' })
      t.equal(await page.getByRole('alert').count(), 0)
      t.same(await sorted(page), numbered(130))
      await looksRight(t, page, 'keys-many')
      await page.getByRole('row').filter({ hasText: /Key 1(?!\d)/ }).getByRole('button').click()
      await page.getByRole('dialog').getByText('This key has ended. It cannot be brought back.').waitFor()
      await page.keyboard.press('Escape')

      // The first page now ends elsewhere.
      await makeKey(host.app, { label: 'Key 130' })
      await page.getByRole('button', { name: 'Refresh' }).click()
      await page.getByText('Key 130', { exact: true }).waitFor()
      await older.click()
      await older.waitFor({ state: 'detached' })
      t.same(await sorted(page), numbered(131))
    })
  })

  await t.test('filters find keys by label, last characters, environment and status', async (t) => {
    const host = await pageHost(t)
    const { apiKey: { last4 } } = await makeKey(host.app, { label: 'Build server' })
    await makeKey(host.app, { label: 'Website', environment: 'test', access: 'publishable' })
    await revoke(host.app, (await makeKey(host.app, { label: 'Old server' })).publicId)
    const { publicId } = await makeKey(host.app, { label: 'Paused server' })
    await host.app.selfServeKeys.keys.update({ ...HOST, credential: 'bearer' }, publicId, { enabled: false })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      const [search, environment, status] = ['Label or last characters', 'Environment', 'Status'].map((label) => page.getByLabel(label))
      t.strictSame(await labelsIn(page), ['Paused server', 'Website', 'Build server'])
      await search!.fill(' SERVER ')
      t.strictSame(await labelsIn(page), ['Paused server', 'Build server'])
      await search!.fill(last4)
      t.strictSame(await labelsIn(page), ['Build server'])
      await search!.fill('')
      await environment!.selectOption('Test')
      t.strictSame(await labelsIn(page), ['Website'])
      await search!.fill('server')
      await page.getByText('No key matches the filter.').waitFor()
      await looksRight(t, page, 'keys-no-match')
      await page.getByRole('button', { name: 'Clear filter' }).click()
      t.strictSame(await labelsIn(page), ['Paused server', 'Old server', 'Website', 'Build server'])
      const found: Record<string, string[]> = {}
      for (const name of ['Active', 'Retiring', 'Disabled', 'Expired', 'Revoked', 'Ended', 'Current']) {
        await status!.selectOption(name)
        found[name] = await labelsIn(page)
      }
      t.strictSame(found, {
        Active: ['Website', 'Build server'],
        Retiring: [],
        Disabled: ['Paused server'],
        Expired: [],
        Revoked: ['Old server'],
        Ended: ['Old server'],
        Current: ['Paused server', 'Website', 'Build server']
      })
    })
  })

  await t.test('a label is text, whatever it holds, and breaks nothing', async (t) => {
    const host = await pageHost(t)
    for (const label of LABELS) await makeKey(host.app, { label })
    await inWindow(t, browser, host, async (page) => {
      await visit(page, host)
      t.strictSame(await labelsIn(page), [...LABELS].reverse())
      t.equal(await page.locator('self-serve-keys :is(img, b)').count(), 0)
      t.equal(await page.title(), 'API keys')
      await looksRight(t, page, 'keys-labels')
      await page.setViewportSize({ width: 900, height: 800 })
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), 900, 'nor where the table is as narrow as it gets')
      await page.setViewportSize({ width: 1280, height: 800 })
      for (const [place, label] of LABELS.entries()) {
        await page.getByRole('row').nth(LABELS.length - place).getByRole('button').click()
        const dialog = page.getByRole('dialog')
        t.equal(await dialog.getByRole('heading').textContent(), label)
        await dialog.getByRole('button', { name: 'Revoke' }).click()
        // What turns the sentence around is set apart from it.
        const named = /[\u0600-\u06FF\u202E]/.test(label) ? `\u2068${label}\u2069` : label
        t.equal(await dialog.getByRole('heading').textContent(), `Revoke “${named}”?`)
        if (place === 0 || label.startsWith('\u202E')) await looksRight(t, page, `keys-label-${place}`)
        await dialog.getByRole('button', { name: 'Cancel' }).click()
        await dialog.getByRole('button', { name: 'Close' }).click()
      }
      t.same(await host.app.selfServeKeys.keys.count(ACCOUNT), { total: LABELS.length, active: LABELS.length })
    })
  })
})

async function visit (page: Page, host: PageHost): Promise<void> {
  await signIn(page, host)
  await page.goto('/api-key')
  await page.getByRole('table').waitFor()
}

async function revoke ({ selfServeKeys }: FastifyInstance, publicId: string): Promise<string> {
  return (await selfServeKeys.keys.revoke(HOST, publicId)).publicId
}

/** In the order that they are shown in. */
async function labelsIn (page: Page): Promise<string[]> {
  return await page.getByRole('table').getByRole('row').locator('strong').allTextContents()
}

async function sorted (page: Page): Promise<string[]> {
  return (await labelsIn(page)).sort()
}

function numbered (count: number): string[] {
  return Array.from({ length: count }, (_, number) => `Key ${number}`).sort()
}
