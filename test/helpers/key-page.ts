// What a customer does on the quickstart's page, and what a browser knows of a secret.
import type { Page } from 'playwright-core'

export const PASSWORD = 'correct horse battery'

/** Ends on the page of the keys, once they are there. */
export async function signUp (page: Page, name: string): Promise<void> {
  await page.goto('/sign-up')
  await page.getByLabel('Name').fill(name)
  await enter(page, `${name.replaceAll(' ', '.').toLowerCase()}@example.com`)
  await page.waitForURL('/api-key')
  await page.getByRole('button', { name: 'Create key' }).waitFor()
}

/** Fills in the rest of a login page's form and sends it off. */
export async function enter (page: Page, email: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button').click()
}

/** In another tab of the same browser. */
export async function signOutElsewhere (page: Page): Promise<void> {
  const other = await page.context().newPage()
  await other.goto('/sign-out')
  await other.getByRole('button').click()
  await other.waitForURL('/sign-in')
  await other.close()
}

/** In the tab that the page's link opens. */
export async function signInAgain (page: Page, email: string): Promise<void> {
  const [tab] = await Promise.all([page.waitForEvent('popup'), page.getByRole('link', { name: 'Sign in' }).click()])
  await enter(tab, email)
  await tab.waitForURL('/api-key')
  await tab.close()
}

/** The row of a key, by any text in it. */
export function rowOf (page: Page, text: string | RegExp) {
  return page.getByRole('table', { name: 'Your API keys' }).getByRole('row').filter({ hasText: text })
}

/** The text of each cell of a table, row by row. */
export async function cells (page: Page, title: string): Promise<string[][]> {
  const rows = await page.getByRole('table', { name: title }).locator('tbody').getByRole('row').all()
  return await Promise.all(rows.map(async (row) => await row.locator('td > div').allInnerTexts()))
}

/** Opens the dialog of the one key with this text in its row, and there the step of this name. */
export async function manage (page: Page, text: string | RegExp, step?: string): Promise<void> {
  await rowOf(page, text).getByRole('button').click()
  if (step !== undefined) await page.getByRole('dialog').getByRole('button', { name: step, exact: true }).click()
}

/** The plaintext key that the dialog shows. */
export async function shownKey (page: Page): Promise<string> {
  return (await page.getByRole('dialog').getByRole('group', { name: 'API key', exact: true }).textContent())!
}

/** Says that the plaintext key is stored. @returns it */
export async function storeKey (page: Page): Promise<string> {
  const plaintextKey = await shownKey(page)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  return plaintextKey
}

/** Role and name of what has the focus, once anything has it, as a screen reader is told: `button Create key`. */
export async function focused (page: Page): Promise<string> {
  await page.locator(':focus').first().waitFor({ state: 'attached' })
  const session = await page.context().newCDPSession(page)
  const { result } = await session.send('Runtime.evaluate', {
    expression: '(() => { let at = document.activeElement; while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement; return at })()'
  })
  const { nodes: [node] } = await session.send('Accessibility.getPartialAXTree', { objectId: result.objectId!, fetchRelatives: false })
  await session.detach()
  return `${node!.role!.value} ${node!.name?.value ?? ''}`
}

/** What each of so many Tabs leads to. */
export async function tabs (page: Page, count: number): Promise<string[]> {
  const names: string[] = []
  while (names.length < count) {
    await page.keyboard.press('Tab')
    names.push(await focused(page))
  }
  return names
}

/** All that a window shows, holds and keeps, as one text: markup with every shadow root, what is typed, addresses, storage, cookies. */
export async function everythingKept (page: Page): Promise<string> {
  const inPage = await page.evaluate(`(async () => {
    const roots = [document], values = []
    for (const root of roots) {
      for (const element of root.querySelectorAll('*')) {
        if (element.shadowRoot) roots.push(element.shadowRoot)
        if ('value' in element) values.push(element.value)
      }
    }
    const databases = await Promise.all((await indexedDB.databases()).map(({ name }) => new Promise((resolve, reject) => {
      const opening = indexedDB.open(name)
      opening.onerror = reject
      opening.onsuccess = () => {
        const stores = [...opening.result.objectStoreNames]
        if (stores.length === 0) return resolve([])
        const reading = opening.result.transaction(stores)
        Promise.all(stores.map((store) => new Promise((resolve) => {
          const all = reading.objectStore(store).getAll()
          all.onsuccess = () => { resolve(all.result) }
        }))).then(resolve)
      }
    })))
    const cached = []
    for (const name of await caches.keys()) {
      const cache = await caches.open(name)
      for (const answer of await cache.matchAll()) cached.push(answer.url, await answer.text())
    }
    return JSON.stringify([
      document.documentElement.getHTML({ shadowRoots: roots.slice(1) }), values, document.title, String(getSelection()), location.href,
      history.state, window.name, { ...localStorage }, { ...sessionStorage }, databases, cached, performance.getEntries().map(({ name }) => name)
    ])
  })()`)
  return `${String(inPage)}\n${JSON.stringify(await page.context().cookies())}`
}
