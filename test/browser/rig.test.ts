// What the browser tests are made of: whatever goes wrong in a window is heard, and what is not accessible is found.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { checkAccessibility, inWindow, startBrowser, whyNoBrowser } from '../helpers/browser.js'
import { leftOut } from '../helpers/left-out.js'

const HEAD = '<!doctype html><html lang="en"><head><title>A page</title><link rel="icon" href="data:,"></head>'
const PAGES: Record<string, string> = {
  '/quiet': `${HEAD}<body><main><h1>A page</h1><p id="place"></p></main><script src="/quiet.js"></script></body></html>`,
  '/quiet.js': 'document.querySelector("#place").append("Nothing is wrong")',
  '/loud': `${HEAD}<body><h1>A page</h1><p style="color: red"><img src="https://other.example/pixel.png" alt=""></p><script src="/loud.js"></script></body></html>`,
  '/loud.js': `
    console.log('is heard by nobody')
    console.warn('a warning')
    console.error('an error')
    fetch('/missing').then(() => { throw new Error('later') })
    fetch('/cut').catch(() => {})
    fetch('https://other.example/data').catch(() => {})
    try { document.body.innerHTML = '' } catch {}
    throw new Error('now')`,
  '/barred': `${HEAD}<body><main><h1>A page</h1><input type="text"><p><img src="data:,"></p></main></body></html>`
}
const POLICY = "default-src 'none'; script-src 'self'; connect-src *; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'"

t.test('a window', leftOut(whyNoBrowser()), async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/cut') return response.destroy()
    const page = PAGES[request.url!]
    response.writeHead(page === undefined ? 404 : 200, {
      'content-type': request.url!.endsWith('.js') ? 'text/javascript' : 'text/html', 'content-security-policy': POLICY
    }).end(page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const browser = await startBrowser(t)

  /** What a test that does `run` would be told to compare, without failing by it. */
  async function compared (run: (t: Test) => Promise<void>): Promise<string[]> {
    const told: string[] = []
    await run({ name: 'told', ok: () => {}, strictSame: (found: string[]) => { told.push(...found) } } as unknown as Test)
    return told
  }

  await t.test('a page that does nothing wrong gives no complaint, and breaks no rule', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/quiet')
      await page.getByText('Nothing is wrong').waitFor()
      await checkAccessibility(t, page, 'quiet')
    })
  })

  await t.test('everything that goes wrong is heard', async (t) => {
    const complaints = await compared(async (t) => {
      await inWindow(t, browser, { origin }, async (page) => {
        await page.goto('/loud', { waitUntil: 'networkidle' })
      })
    })
    const kinds = {
      'console.warn': /^warning: a warning$/,
      'console.error': /^error: an error$/,
      'an exception': /^exception: Error: now$/,
      'a promise that nobody waited for': /^exception: Error: later$/,
      'a refused request': /^404 GET \/missing$/,
      'a request without an answer': /^net::\w+ GET \/cut$/,
      'a request to somebody else': /^left the origin: GET https:\/\/other\.example\/data$/,
      'an image from elsewhere, which the policy refuses': /^error: .*other\.example\/pixel\.png.*Content Security Policy.*img-src/,
      'a style in the document, which the policy refuses': /^error: .*inline style.*Content Security Policy/,
      'text that became HTML': /^error: .*TrustedHTML/
    }
    for (const [kind, pattern] of Object.entries(kinds)) t.ok(complaints.some((complaint) => pattern.test(complaint)), kind)
    t.notOk(complaints.some((complaint) => complaint.includes('is heard by nobody')))
  })

  await t.test('a complaint that is expected and does not come is missed', async (t) => {
    let expected: unknown
    const told = { name: 'told', strictSame: (_found: unknown, wanted: unknown) => { expected = wanted } } as unknown as Test
    await inWindow(told, browser, { origin, complaints: ['404 GET /nothing'] }, async (page) => { await page.goto('/quiet') })
    t.strictSame(expected, ['404 GET /nothing'])
  })

  await t.test('rules that are broken are found under any policy, each with its place', async (t) => {
    await inWindow(t, browser, { origin }, async (page) => {
      await page.goto('/barred')
      const broken = await compared(async (t) => { await checkAccessibility(t, page, 'barred') })
      t.match(broken.sort(), [/^image-alt .* at img: /, /^label .* at input: /])
      t.equal(broken.length, 2)
    })
  })

  await t.test('a window shares no cookie with the one before', async (t) => {
    for (const name of ['first', 'second']) {
      await inWindow(t, browser, { origin }, async (page) => {
        await page.goto('/quiet')
        t.strictSame(await page.context().cookies(), [], name)
        await page.context().addCookies([{ name, value: '1', url: origin }])
      })
    }
  })
})
