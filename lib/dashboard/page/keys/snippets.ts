// Programs that call the host's API with a key that was just issued, ready to be pasted.
import type { Access } from '../answers.js'

export interface SnippetInput {
  readonly plaintextKey: string
  readonly access: Access
  readonly url: string
  /** The request header that carries the key. */
  readonly header: string
}

export interface Snippet {
  readonly name: string
  readonly code: string
  /** The command that runs the code from a file; null where there is none to run it. */
  readonly run: string | null
}

/** Those of a secret key take it from the environment: a secret that stands in a program ends up in its repository. */
export function snippetsOf ({ plaintextKey, access, url, header }: SnippetInput): Snippet[] {
  const bearer = header.toLowerCase() === 'authorization'
  const name = bearer ? 'Authorization' : header.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()).replace('Api', 'API')
  const scheme = bearer ? 'Bearer ' : ''
  const variable = `API_KEY=${shell(plaintextKey)}`
  return [
    { name: 'curl', code: forCurl(), run: null },
    access === 'secret' ? { name: 'JavaScript', code: forNode(), run: `${variable} node example.mjs` } : { name: 'JavaScript', code: forBrowser(), run: null },
    { name: 'Python', code: forPython(), run: `${variable} python3 example.py` }
  ]

  function forCurl (): string {
    // Brackets and braces in a URL are patterns to curl, unless it is told.
    const asItIs = /[[\]{}]/.test(url) ? '-g ' : ''
    return `${variable}\ncurl ${asItIs}-H "${name}: ${scheme}$API_KEY" ${shell(url)}`
  }

  function forNode (): string {
    const key = bearer ? '`Bearer ${process.env.API_KEY}`' : 'process.env.API_KEY' // eslint-disable-line no-template-curly-in-string -- of the program that is shown
    return `// example.mjs
const response = await fetch(${text(url)}, {
  headers: { ${text(name)}: ${key} }
})
console.log(response.status, await response.json())`
  }

  function forBrowser (): string {
    return `const response = await fetch(${text(url)}, {
  headers: { ${text(name)}: ${text(scheme + plaintextKey)} }
})
console.log(response.status, await response.json())`
  }

  function forPython (): string {
    return `# example.py
import json, os, urllib.request

request = urllib.request.Request(${JSON.stringify(url)})
request.add_header(${JSON.stringify(name)}, ${bearer ? '"Bearer " + ' : ''}os.environ["API_KEY"])
with urllib.request.urlopen(request) as response:
    print(response.status, json.load(response))`
  }
}

function shell (value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`
}

function text (value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
