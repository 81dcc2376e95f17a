// The custom element: attributes and properties in, events out, the app in its shadow root.
import { h, render } from 'preact'
import type { Feature, SelfServeKeysElement as Declared, SelfServeKeysElementEventMap } from '../element.js'
import { accountApi, type AccountApi } from './api.js'
import { App } from './app.js'
import styles from './styles/element.css'
import { formatOf } from './format.js'
import { sayIn } from './text.js'

export { ENGLISH as englishTexts } from './text.js'

const FEATURES: readonly Feature[] = ['defaultKey', 'keys', 'usage', 'sites', 'audit']
/** ms that an answer may take. */
const TIMEOUT = 15_000

const PROPERTIES = ['base', 'signInUrl', 'exampleUrl', 'keyHeader', 'features', 'getToken', 'headers', 'texts'] as const

/** On a server a page is often rendered by code that imports this: there it must do no harm. */
const Base = typeof HTMLElement === 'undefined' ? class {} as typeof HTMLElement : HTMLElement

export class SelfServeKeysElement extends Base implements Omit<Declared, keyof HTMLElement> {
  static readonly observedAttributes = ['base', 'sign-in-url', 'features', 'example-url', 'key-header', 'lang']

  #features: Declared['features'] = {}
  #getToken: Declared['getToken'] = null
  #headers: Declared['headers'] = null
  #texts: Declared['texts'] = {}
  /** Moves when everything is to be asked for anew. */
  #generation = 0
  #drawing = false
  /** One for each `base`: what was read stays, whatever else is set. */
  #api: { readonly base: string, readonly routes: AccountApi } | null = null

  get base () { return (this.getAttribute('base') ?? '/v1/me').replace(/\/$/, '') }
  set base (base) { this.setAttribute('base', base) }

  get signInUrl () { return this.getAttribute('sign-in-url') }
  set signInUrl (url) {
    if (url === null) this.removeAttribute('sign-in-url')
    else this.setAttribute('sign-in-url', url)
  }

  get exampleUrl () { return this.getAttribute('example-url') ?? '/' }
  set exampleUrl (url) { this.setAttribute('example-url', url) }

  get keyHeader () { return this.getAttribute('key-header') ?? 'x-api-key' }
  set keyHeader (header) { this.setAttribute('key-header', header) }

  get features () { return this.#features }
  set features (features) {
    this.#features = features
    this.#draw()
  }

  get getToken () { return this.#getToken }
  set getToken (getToken) {
    // A framework sets another function each time it draws: it is asked from now on, and nothing is read anew for it.
    const isNews = (getToken === null) !== (this.#getToken === null)
    this.#getToken = getToken
    if (isNews) this.reload()
  }

  get headers () { return this.#headers }
  set headers (headers) {
    const isNews = JSON.stringify(headers) !== JSON.stringify(this.#headers)
    this.#headers = headers
    if (isNews) this.reload()
  }

  get texts () { return this.#texts }
  set texts (texts) {
    this.#texts = texts
    this.#draw()
  }

  connectedCallback (): void {
    // What a framework set before this script came would hide the setters.
    for (const name of PROPERTIES) this.#takeOver(name)
    if (this.shadowRoot === null) {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(styles)
      this.attachShadow({ mode: 'open' }).adoptedStyleSheets = [sheet]
    }
    this.#draw()
  }

  disconnectedCallback (): void {
    // Taken out of the page, not moved within it: timers end, and a plaintext that was shown is gone.
    queueMicrotask(() => { if (!this.isConnected) render(null, this.shadowRoot!) })
  }

  attributeChangedCallback (name: string, before: string | null, after: string | null): void {
    if (before === after) return
    this.#draw()
  }

  reload (): void {
    this.#generation++
    this.#draw()
  }

  #takeOver (name: typeof PROPERTIES[number]): void {
    if (!Object.hasOwn(this, name)) return
    const value = this[name]
    delete this[name]
    Object.assign(this, { [name]: value })
  }

  /** Once for all that is set in one go. */
  #draw (): void {
    if (this.#drawing || !this.isConnected) return
    this.#drawing = true
    queueMicrotask(() => {
      this.#drawing = false
      if (this.isConnected) render(this.#app(), this.shadowRoot!)
    })
  }

  #app () {
    const locale = localeOf(this.closest('[lang]')?.getAttribute('lang') ?? navigator.language)
    const format = formatOf(locale)
    return h(App, {
      // Other account routes are another account's; all else goes on: a dialog that shows a plaintext must stay open.
      key: this.base,
      generation: this.#generation,
      api: this.#routes(),
      say: sayIn(locale, this.#texts, format.number),
      format,
      features: this.#shown(),
      signInUrl: this.signInUrl,
      example: { url: new URL(this.exampleUrl, document.baseURI).href, header: this.keyHeader },
      tell: <K extends keyof SelfServeKeysElementEventMap>(type: K, detail: SelfServeKeysElementEventMap[K]['detail']) => {
        this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
      }
    })
  }

  #routes (): AccountApi {
    const { base } = this
    if (this.#api?.base !== base) {
      const getToken = () => this.#getToken
      const headers = () => this.#headers
      this.#api = {
        base,
        routes: accountApi({
          base,
          get getToken () { return getToken() },
          get headers () { return headers() },
          fetch: (...request) => fetch(...request),
          timeout: TIMEOUT
        })
      }
    }
    return this.#api.routes
  }

  /** By the attribute all that it names, else all; less what the property switches off. */
  #shown (): Record<Feature, boolean> {
    const named = this.getAttribute('features')?.split(/\s+/)
    return Object.fromEntries(FEATURES.map((name) => [name, (this.#features[name] ?? true) && (named?.includes(name) ?? true)])) as Record<Feature, boolean>
  }
}

/** What no language is called, as `lang=""` or `en_US`, is read as English. */
function localeOf (language: string): string {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf([language])[0] ?? 'en'
  } catch {
    return 'en'
  }
}

if (typeof customElements !== 'undefined' && customElements.get('self-serve-keys') === undefined) customElements.define('self-serve-keys', SelfServeKeysElement)
