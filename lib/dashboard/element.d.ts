// `<self-serve-keys>`, the page's body as a web component: what the host's own page sets on it, and what it tells.

/** A part of what is shown. Each is there unless it is switched off. */
export type Feature = 'defaultKey' | 'keys' | 'usage' | 'sites' | 'audit'

/** Of a key that was issued or rotated; never its plaintext. */
export interface KeyIssuedDetail {
  readonly action: 'issued' | 'rotated'
  readonly publicId: string
  readonly label: string
  readonly environment: 'live' | 'test'
  readonly access: 'secret' | 'publishable'
  /** Keys that ended, or end after their overlap, because of it. */
  readonly replaced: readonly string[]
}

export interface KeyRevokedDetail { readonly publicId: string, readonly label: string }

/** `read`: nobody is signed in. `change`: there is no bearer token to make a change with, or it was refused. */
export interface AuthRequiredDetail { readonly during: 'read' | 'change' }

export interface SelfServeKeysElementEventMap {
  'key-issued': CustomEvent<KeyIssuedDetail>
  'key-revoked': CustomEvent<KeyRevokedDetail>
  'auth-required': CustomEvent<AuthRequiredDetail>
}

/**
 * Shows the keys, usage, sites and audit log of whoever is signed in, and makes changes. Importing this module defines it; on a server,
 * where nothing can be defined, that does nothing.
 *
 * Reads go with the page's cookies, changes with the token of `getToken`. Its texts are in the language of `texts`, its numbers and
 * times in that of its `lang` attribute or the document's. It needs no style or script of its host's, and works under a strict
 * content security policy. Custom properties style it (`--ssk-accent` and more), and `::part()` reaches inside.
 */
export class SelfServeKeysElement extends HTMLElement {
  /** Where the account routes are, on this origin or another that allows it. Attribute `base`. @default '/v1/me' */
  base: string
  /** Where to sign in; shown to whoever is not. Attribute `sign-in-url`. @default null: no link */
  signInUrl: string | null
  /** What the examples beside a new key call. Attribute `example-url`. @default '/' */
  exampleUrl: string
  /** The header in which they send it. Attribute `key-header`. @default 'x-api-key' */
  keyHeader: string
  /** What is shown: `{ audit: false }` hides the audit log. Attribute `features`: names of all that is shown. @default everything */
  features: Partial<Record<Feature, boolean>>
  /**
   * The bearer token that changes are made with, asked for before each; null where nobody is signed in. Reads go with it too where the
   * cookies sign nobody in, as those of another origin never do. Never an attribute: what is in the document can be read by whoever
   * reads that. @default null: changes go with the cookies, where the host's option `cookieMutations` lets them
   */
  getToken: (() => string | null | Promise<string | null>) | null
  /** Headers for every request, for a gateway that wants one. @default null */
  headers: Record<string, string> | null
  /** Other words, by the names of `englishTexts`, for a translation; those left out stay English. @default {} */
  texts: Record<string, string>
  /** Asks for everything anew; what is open stays open. */
  reload (): void

  addEventListener<K extends keyof SelfServeKeysElementEventMap> (
    type: K, listener: (this: SelfServeKeysElement, event: SelfServeKeysElementEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions
  ): void
  addEventListener<K extends keyof HTMLElementEventMap> (
    type: K, listener: (this: SelfServeKeysElement, event: HTMLElementEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions
  ): void
  addEventListener (type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void
}

/** Every text that is shown, by name. */
export const englishTexts: Readonly<Record<string, string>>

declare global {
  interface HTMLElementTagNameMap { 'self-serve-keys': SelfServeKeysElement }
}
