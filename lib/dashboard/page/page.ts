// The hosted page's own script: tells the element where the tokens for its changes come from.

for (const element of document.querySelectorAll('self-serve-keys[token-url]')) {
  const url = element.getAttribute('token-url')!
  Object.assign(element, { getToken: async () => await askToken(url) })
}

/** @returns null where nobody is signed in */
async function askToken (url: string): Promise<string | null> {
  const answer = await fetch(url, { cache: 'no-store', headers: { accept: 'application/json' } })
  if (!answer.ok) await answer.body?.cancel()
  if (answer.status === 401) return null
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`)
  const { token } = await answer.json() as { token: string }
  return token
}

export {}
