// The page's document: the same for everybody, nothing of a person is in it.

export interface PageParts {
  /** Where the page is, and below it its files. */
  readonly path: string
  /** Where the account routes are. */
  readonly base: string
  readonly title: string
  readonly logo: string | null
  readonly links: ReadonlyArray<{ readonly text: string, readonly url: string }>
  readonly signInUrl: string | null
  /** A request that shows how a key is used; null where the host names none. */
  readonly exampleUrl: string | null
  /** The header that carries a key. */
  readonly keyHeader: string
  readonly features: readonly string[]
  /** Can the page ask for a token? Else its changes go with the cookies. */
  readonly hasTokens: boolean
}

export function pageHtml ({ path, base, title, logo, links, signInUrl, exampleUrl, keyHeader, features, hasTokens }: PageParts): string {
  const element = [
    '<self-serve-keys', attribute('base', base),
    hasTokens ? attribute('token-url', `${path}/token`) : '',
    signInUrl === null ? '' : attribute('sign-in-url', signInUrl),
    exampleUrl === null ? '' : attribute('example-url', exampleUrl), attribute('key-header', keyHeader),
    attribute('features', features.join(' ')), '></self-serve-keys>'
  ].join('')
  const image = logo === null ? '' : `<img${attribute('src', logo)} alt="">`
  const nav = links.length === 0
    ? ''
    : `<nav aria-label="Links">${links.map(({ text, url }) => `<a${attribute('href', url)}>${escape(text)}</a>`).join('')}</nav>`
  // The page's own script first: the element finds where its tokens come from when it begins.
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(title)}</title>
<link rel="icon" href="data:,"><link rel="stylesheet"${attribute('href', `${path}/page.css`)}>
<script type="module"${attribute('src', `${path}/page.js`)}></script><script type="module"${attribute('src', `${path}/element.js`)}></script></head>
<body><header class="bar"><h1><a${attribute('href', path)}>${image}${escape(title)}</a></h1>${nav}</header>
<main>${element}
<noscript><p>This page needs JavaScript.</p></noscript></main></body></html>
`
}

function attribute (name: string, value: string): string {
  return ` ${name}="${escape(value)}"`
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' }

function escape (text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
