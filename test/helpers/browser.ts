// A real browser for tests: windows of their own, in which nothing may go wrong unnoticed, and what is looked at in them.
import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { Test } from 'tap'

/** Names that Chromium is installed under. */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome']
const SCREENSHOTS = join(import.meta.dirname, '..', 'browser', 'screenshots')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

export interface WindowSettings {
  /** `http://127.0.0.1:PORT`; paths are from there, and no request may leave it. */
  readonly origin: string
  readonly colorScheme?: 'light' | 'dark'
  /** px. @default 1280 × 800 */
  readonly width?: number
  readonly height?: number
  /**
   * All that the browser may complain of, and must, in any order, as complaints read: `401 GET /v1/me/api-keys`. A complaint that is
   * repeated is named once. @default none
   */
  readonly complaints?: readonly string[]
}

/** Why there is no browser to test in; null if there is one. */
export function whyNoBrowser (): string | null {
  return found(PROGRAMS) === null ? 'Chromium is not installed (apt-get install chromium fonts-dejavu-core)' : null
}

/** Which of these a test cannot run; null if it can run all. */
export function whyNoProgram (...names: string[]): string | null {
  const missing = names.find((name) => found([name]) === null)
  return missing === undefined ? null : `${missing} is not installed`
}

/** Ended with the test. A test file starts one, and opens windows in it. */
export async function startBrowser (t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: found(PROGRAMS)! })
  t.teardown(async () => { await browser.close() })
  return browser
}

/**
 * Runs `visit` in a window that shares nothing with others: cookies, storage and cache are its own. Then the browser may have complained
 * of nothing but `complaints`: errors and warnings on the console, exceptions, violations of a content security policy, requests that
 * failed, were refused or left the origin.
 */
export async function inWindow (
  t: Test, browser: Browser, { origin, colorScheme = 'light', width = 1280, height = 800, complaints = [] }: WindowSettings, visit: (page: Page) => Promise<void>
): Promise<void> {
  const context = await browser.newContext({ baseURL: origin, colorScheme, viewport: { width, height }, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' })
  context.setDefaultTimeout(10_000)
  const heard = listen(context, origin)
  const page = await context.newPage()
  try {
    await visit(page)
  } catch (error) {
    await shoot(page, `failed-${t.name.replace(/[^\w]+/g, '-')}`).catch(() => {}) // what failed first is what is told
    throw error
  } finally {
    await context.close()
    t.strictSame([...heard].sort(), [...complaints].sort(), 'the browser complains of nothing else')
  }
}

/** Tests of which each builds on those before: what follows one that breaks off is not run. */
export function stepsOf (t: Test): (claim: string, run: (t: Test) => Promise<void>) => Promise<void> {
  return async (claim, run) => {
    let done = false
    await t.test(claim, async (t) => {
      await run(t)
      done = true
    })
    if (!done) throw new Error(`what follows builds on: ${claim}`)
  }
}

/** What the browser complains of, from now on. */
function listen (context: BrowserContext, origin: string): Set<string> {
  const heard = new Set<string>()
  const name = (url: string): string => url.startsWith(`${origin}/`) ? url.slice(origin.length) : url
  context.on('console', (message) => {
    // A refused request is named below, with its method.
    if (/^(error|warning)$/.test(message.type()) && !message.text().startsWith('Failed to load resource')) heard.add(`${message.type()}: ${message.text()}`)
  })
  context.on('weberror', (webError) => { heard.add(`exception: ${String(webError.error())}`) })
  context.on('request', (request) => {
    if (/^(https?|wss?):/.test(request.url()) && new URL(request.url()).origin !== origin) heard.add(`left the origin: ${request.method()} ${request.url()}`)
  })
  context.on('response', (response) => {
    if (response.status() >= 400) heard.add(`${response.status()} ${response.request().method()} ${name(response.url())}`)
  })
  context.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText
    // Aborted is what the next page's request does to those of the last.
    if (reason !== 'net::ERR_ABORTED') heard.add(`${reason} ${request.method()} ${name(request.url())}`)
  })
  return heard
}

/**
 * No rule of axe-core may be broken. It runs in a world of its own, beside the page's scripts: there it may, whatever the page's content
 * security policy says.
 */
export async function checkAccessibility (t: Test, page: Page, name: string): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const { frameTree } = await session.send('Page.getFrameTree')
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id })
  const evaluate = async (expression: string): Promise<any> => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }
  await evaluate(`${AXE};0`)
  const { violations, passes } = await evaluate(`axe.run(document, { runOnly: ${JSON.stringify(RULES)}, resultTypes: ['violations'] })`)
  await session.detach()
  t.ok(passes.length > 10, `${name}: rules were applied`)
  t.strictSame(violations.flatMap(({ id, help, nodes }: any) => nodes.map(({ target, failureSummary }: any) =>
    `${id} (${help}) at ${target.flat().join(' > ')}: ${failureSummary.replace(/\s*\n\s*/g, ' ')}`)), [], `${name}: accessible`)
}

/** Writes the whole page, or the window where a dialog covers it, to test/browser/screenshots/NAME.png, for a person to look at. */
export async function shoot (page: Page, name: string): Promise<void> {
  const fullPage = await page.locator('dialog[open]').count() === 0
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage, animations: 'disabled' })
}

/** The first of these programs that is installed. */
function found (programs: readonly string[]): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return programs.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  }) ?? null
}
