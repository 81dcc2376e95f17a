// The whole of what a customer does with the page: a real login, a real browser, and calls over HTTP with the keys it gave.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { inWindow, startBrowser, stepsOf, whyNoBrowser, whyNoProgram } from '../helpers/browser.js'
import { cells, everythingKept, focused, manage, rowOf, shownKey, signUp, storeKey, tabs } from '../helpers/key-page.js'
import { leftOut } from '../helpers/left-out.js'
import { startQuickstart } from '../helpers/quickstart.js'

const DAY = 24 * 60 * 60 * 1000

t.setTimeout(120_000)

t.test('the journey of a customer', leftOut(whyNoBrowser() ?? whyNoProgram('curl', 'python3')), async (t) => {
  const quickstart = await startQuickstart(t, t.testdir(), { ACCOUNT_MUTATIONS_PER_MINUTE: '0' })
  const { origin } = quickstart
  const browser = await startBrowser(t)
  const call = async (key: string) => await quickstart.request('GET', '/api/v1/blocks', { headers: { 'x-api-key': key } })

  // One window for all of it, so that nothing is forgotten between two steps; each builds on those before.
  await inWindow(t, browser, { origin }, async (page) => {
    const step = stepsOf(t)
    /** As whoever is signed in in this window. */
    const me = async (path: string): Promise<any> => await (await page.request.get(`/api/v1/me${path}`)).json()
    const tab = async (name: string): Promise<void> => { await page.getByRole('tab', { name }).click() }
    const cellsOf = async (title: string): Promise<string[][]> => await cells(page, title)
    const dialog = page.getByRole('dialog')
    const button = (name: string) => page.getByRole('button', { name, exact: true })
    let defaultKey = ''
    let named = ''

    await step('whoever signs up has no key yet', async (t) => {
      await signUp(page, 'Ada Lovelace')
      await page.getByText('No keys yet').waitFor()
      t.strictSame((await me('/api-keys')).apiKeys, [])
    })

    await step('two presses issue one default key', async (t) => {
      const sent: string[] = []
      let release!: () => void
      const pressedTwice = new Promise<void>((resolve) => { release = resolve })
      await page.route('/api/v1/me/api-keys', async (route) => {
        if (route.request().method() === 'POST') {
          sent.push(route.request().url())
          await pressedTwice
        }
        await route.continue()
      })
      await button('Issue the default live key').dblclick()
      release()
      await dialog.waitFor()
      await page.unroute('/api/v1/me/api-keys')
      t.equal(sent.length, 1)
      t.match((await me('/api-keys')).apiKeys, [{ label: 'Default', isDefault: true, status: 'active' }])
      t.match(await me('/audit'), { total: 1, logs: [{ action: 'api_key.issued', detail: 'Issued API key "Default"' }] })
    })

    await step('the key is shown until it is stored', async (t) => {
      defaultKey = await shownKey(page)
      t.match(defaultKey, /^sk_live_\w{42}$/)
      for (let press = 0; press < 3; press++) await page.keyboard.press('Escape')
      t.equal(await shownKey(page), defaultKey, 'Escape does not close it')
      await dialog.getByRole('status').getByText('Store the key first, then say so.').waitFor()
      t.ok((await everythingKept(page)).includes(defaultKey), 'what is looked at below would find it')
    })

    for (const [name, file] of [['curl', null], ['JavaScript', 'example.mjs'], ['Python', 'example.py']] as const) {
      await step(`the example for ${name} runs as it is pasted`, async (t) => {
        await dialog.getByRole('radio', { name }).check()
        const code = (await dialog.getByRole('group', { name, exact: true }).textContent())!
        const folder = t.testdir()
        if (file !== null) writeFileSync(join(folder, file), code)
        const command = file === null ? code : (await dialog.getByRole('group', { name: 'To run it' }).textContent())!
        const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: folder, env: { PATH: process.env.PATH } })
        t.match(stdout, /\b1000000\b/, 'the latest block is in the answer')
      })
    }

    await step('once it is stored, it is nowhere in the browser', async (t) => {
      t.equal(await storeKey(page), defaultKey)
      t.notOk((await everythingKept(page)).includes(defaultKey))
      await page.reload()
      await rowOf(page, 'Default').waitFor()
      const kept = await everythingKept(page)
      t.notOk(kept.includes(defaultKey))
      t.ok(kept.includes(defaultKey.slice(-4)), 'its last characters tell it from others')
      t.equal((await call(defaultKey)).status, 200, 'and it works')
    })

    await step('what was called is on the page of usage: in sum, over time, and one by one', async (t) => {
      t.equal((await quickstart.request('GET', '/api/v1/blocks/2000000', { headers: { 'x-api-key': defaultKey } })).status, 404)
      await tab('Usage')
      await page.getByRole('img', { name: /^5 requests, 1 of them failures, from / }).waitFor()
      t.strictSame(await page.getByRole('definition').allTextContents(), ['5', '1', '20%', '1'], 'requests, failures, their rate, keys')
      await page.getByText('Show as a table').click()
      const slots = await cellsOf('Requests and failures over time')
      t.strictSame([1, 2].map((column) => slots.reduce((sum, slot) => sum + Number(slot[column]), 0)), [5, 1])
      const recent = await cellsOf('Recent requests')
      t.strictSame(recent.map(([, key, route]) => `${key} ${route}`), [
        'Default Live GET /api/v1/blocks/:number', ...Array(4).fill('Default Live GET /api/v1/blocks')
      ], 'the newest first')
      t.match(recent.map(([, , , status]) => status), [/^404/, '200', '200', '200', '200'])
      for (const [,,,, duration] of recent) t.match(duration, /^\d+(\.\d)? ms$/)
      t.match(await cellsOf('Recent failures'), [[/./, 'Default Live', 'GET /api/v1/blocks/:number', '404', /ms$/, 'BLOCK_NOT_FOUND', /./]])
      await tab('Keys')
    })

    await step('the keyboard alone makes a named key', async (t) => {
      await button('Create key').focus()
      await page.keyboard.press('Enter')
      await dialog.waitFor()
      t.equal(await focused(page), 'textbox Label')
      await page.keyboard.type('Batch job')
      t.strictSame(await tabs(page, 1), ['radio Live'])
      await page.keyboard.press('ArrowDown')
      t.strictSame(await tabs(page, 4), [
        'radio Secret: for servers. Never put it into a page or an app.', 'radio Only these:',
        'checkbox blocks:read Read blocks and reports', 'checkbox transactions:write Submit transactions'
      ])
      await page.keyboard.press('Space')
      t.strictSame(await tabs(page, 1), ['combobox Expires'])
      await page.keyboard.press('ArrowDown')
      t.strictSame(await tabs(page, 1), ['DisclosureTriangle Restrictions'])
      await page.keyboard.press('Enter')
      t.strictSame(await tabs(page, 2), ['textbox Allowed origins', 'textbox Allowed IP addresses'])
      await page.keyboard.type('127.0.0.1')
      t.strictSame(await tabs(page, 2), ['button Cancel', 'button Create key'])
      await page.keyboard.press('Enter')
      await dialog.getByText('Your new key').waitFor()
      t.equal(await focused(page), 'heading Your new key')
      named = await shownKey(page)
      t.strictSame(await tabs(page, 6), ['group API key', 'button Copy API key', 'radio curl', 'group curl', 'button Copy curl', 'button I have stored it'])
      await page.keyboard.press('Enter')
      await dialog.waitFor({ state: 'detached' })
      t.match(await rowOf(page, named.slice(-4)).textContent(), /Batch job.*Test.*Active/)
      const [key] = (await me('/api-keys')).apiKeys
      t.match(key, {
        label: 'Batch job', environment: 'test', access: 'secret', scopes: ['blocks:read', 'transactions:write'], allowedIps: ['127.0.0.1'], allowedOrigins: []
      })
      t.equal(Math.round((Date.parse(key.expiresAt) - Date.parse(key.createdAt)) / DAY), 30)
      t.equal((await call(named)).status, 200)
    })

    await step('rotated with an overlap, the old key works on beside the new one, and its row tells of it', async (t) => {
      const old = named
      await manage(page, old.slice(-4), 'Rotate')
      await dialog.getByLabel('The old key works on for').selectOption(String(DAY / 1000))
      await button('Rotate key').click()
      await dialog.getByText('The key before it works on until its overlap ends.').waitFor()
      named = await storeKey(page)
      const row = rowOf(page, old.slice(-4))
      await row.getByText('Retiring').waitFor()
      t.match(await row.textContent(), /Ends in 23 hr 59 min.*not called since the rotation/)
      t.equal((await call(named)).status, 200)
      t.equal((await call(old)).status, 200)
      await me('/usage') // which writes down what was called
      await button('Refresh').click()
      await row.getByText(/still called/).waitFor()
    })

    await step('the default key, rotated, is refused at once', async (t) => {
      const old = defaultKey
      await button('Rotate the default live key').click()
      await dialog.getByText('Rotate “Default”?').waitFor()
      await button('Rotate key').click()
      await dialog.getByText('The key before it no longer works.').waitFor()
      defaultKey = await storeKey(page)
      t.match(await call(old), { status: 401, json: { code: 'INVALID_API_KEY' } })
      t.equal((await call(defaultKey)).status, 200)
    })

    await step('a key gets another name', async (t) => {
      await manage(page, named.slice(-4), 'Edit')
      await dialog.getByLabel('Label').fill('Nightly job')
      await button('Save').click()
      await rowOf(page, named.slice(-4)).getByText('Nightly job').waitFor()
      t.match((await me('/api-keys')).apiKeys.map(({ label }: any) => label), ['Default', 'Nightly job', 'Batch job', 'Default'], 'and no other key')
    })

    await step('a disabled key is refused, and works again once it is enabled', async (t) => {
      await manage(page, named.slice(-4), 'Disable')
      await button('Disable key').click()
      await rowOf(page, named.slice(-4)).getByText('Disabled').waitFor()
      t.match(await call(named), { status: 401, json: { code: 'INVALID_API_KEY', message: /disabled/ } })
      await manage(page, named.slice(-4), 'Enable')
      await rowOf(page, named.slice(-4)).getByText('Active').waitFor()
      t.equal((await call(named)).status, 200)
    })

    await step('a renewed key lives longer', async (t) => {
      await manage(page, named.slice(-4), 'Renew')
      await dialog.getByLabel('Expires').selectOption({ label: 'After 90 days' })
      await button('Renew key').click()
      await dialog.waitFor({ state: 'detached' })
      const renewed = (await me('/api-keys')).apiKeys.find(({ label }: any) => label === 'Nightly job')
      t.equal(Math.round((Date.parse(renewed.expiresAt) - Date.now()) / DAY), 90)
    })

    await step('before a key is revoked, it is told who made it and whether it is used; then it is refused', async (t) => {
      await manage(page, named.slice(-4), 'Revoke')
      await dialog.getByText('3 requests, 1 failed').waitFor()
      const facts = (await dialog.textContent())!
      for (const fact of ['Revoke “Nightly job”?', `sk_test_…${named.slice(-4)}`, 'by Ada Lovelace', 'GET /api/v1/blocks']) t.ok(facts.includes(fact), fact)
      await button('Revoke key').click()
      await rowOf(page, named.slice(-4)).waitFor({ state: 'detached' })
      t.match(await call(named), { status: 401, json: { code: 'INVALID_API_KEY' } })
      t.equal((await call(defaultKey)).status, 200, 'the others work on')
    })

    await step('a site is added, and removed', async (t) => {
      await tab('Sites')
      await page.getByLabel('Origin').fill('https://example.com')
      await button('Add site').click()
      await button('Remove https://example.com').click()
      t.match((await me('/sites')).sites, [{ origin: 'https://example.com' }])
      await dialog.getByText('Remove https://example.com?').waitFor()
      await button('Remove site').click()
      await page.getByText('No sites yet').waitFor()
      t.strictSame((await me('/sites')).sites, [])
    })

    await step('the audit log has an entry for each change, and a search finds the one that is meant', async (t) => {
      await tab('Audit log')
      await page.getByText('11 entries').waitFor()
      t.strictSame((await cellsOf('Entries of the audit log')).map(([, action]) => action).reverse(), [
        'api_key.issued', 'api_key.issued', 'api_key.rotated', 'api_key.rotated', 'api_key.updated', 'api_key.disabled', 'api_key.enabled', 'api_key.renewed',
        'api_key.revoked', 'site.added', 'site.removed'
      ])
      await page.getByLabel('Search').fill('DISABLED')
      await page.getByRole('tabpanel').getByText('1 entry').waitFor()
      t.match(await cellsOf('Entries of the audit log'), [[/./, 'api_key.disabled', /^Disabled API key "Nightly job"/, /^Ada Lovelace/, '127.0.0.1']])
      await tab('Keys')
    })
  })
})
