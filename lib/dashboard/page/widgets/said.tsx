// What is said to whoever listens to the page: in each place that may be the only one they are in.
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'

const Shared = createContext('')
export const SaidProvider = Shared.Provider

/** A dialog has one of its own: what is outside of it is silent while it is open. */
export function Said () {
  return <p class='hidden' role='status'>{useContext(Shared)}</p>
}
