// The custom element: attributes and properties in, events out, the app in its shadow root.
import styles from './element.css'

export class SelfServeKeysElement extends HTMLElement {
  connectedCallback (): void {
    if (this.shadowRoot !== null) return
    const root = this.attachShadow({ mode: 'open' })
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(styles)
    root.adoptedStyleSheets = [sheet]
  }
}

if (customElements.get('self-serve-keys') === undefined) customElements.define('self-serve-keys', SelfServeKeysElement)
