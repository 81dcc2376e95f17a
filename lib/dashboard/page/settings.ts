// What every part of the element shares: the account routes, words, formats, and ways to tell of what happened.
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Feature, SelfServeKeysElementEventMap } from '../element.js'
import type { Issued } from './answers.js'
import type { AccountApi } from './api.js'
import type { Format } from './format.js'
import type { Say } from './text.js'

export interface Settings {
  readonly api: AccountApi
  readonly say: Say
  readonly format: Format
  readonly features: Readonly<Record<Feature, boolean>>
  /** null: the host names no place to sign in. */
  readonly signInUrl: string | null
  /** A request to show once there is a key to make it with. */
  readonly example: { readonly url: string, readonly header: string }
  /** Moves when everything is to be asked for anew: somebody is back online, or signed in again. */
  readonly generation: number
  /** Shows a new key, over everything, until its reader has stored it. */
  show (issued: Issued): void
  /** Says something to whoever listens to the page rather than looking at it. */
  announce (message: string): void
  tell<K extends keyof SelfServeKeysElementEventMap> (type: K, detail: SelfServeKeysElementEventMap[K]['detail']): void
  /** A read succeeded, or failed: signed in or not is decided from this. */
  onRead (failure: unknown): void
}

const Shared = createContext<Settings | null>(null)
export const SettingsProvider = Shared.Provider

export function useSettings (): Settings {
  return useContext(Shared)!
}
