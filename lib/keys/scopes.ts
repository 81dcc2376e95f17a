// What a scope is and whether a key has those a route asks for.

const SCOPE = /^[a-z0-9][a-z0-9_.-]*(?::[a-z0-9*][a-z0-9_.*-]*)+$/i

/** Is this text a scope: `resource:action`, at most 100 characters? */
export function isScope (text: string): boolean {
  return text.length <= 100 && SCOPE.test(text)
}

/** The read scopes of a catalogue, which the default key carries; null (all) only when the catalogue is empty. */
export function readScopes (catalogue: ReadonlySet<string>): string[] | null {
  return catalogue.size === 0 ? null : [...catalogue].filter((scope) => scope.endsWith(':read'))
}

export interface ScopeRequirement {
  /** All of these. */
  readonly scopes?: readonly string[] | undefined
  /** At least one of these. */
  readonly anyOfScopes?: readonly string[] | undefined
}

/** The scopes that a requirement asks for, all or any, when a key does not meet it; `null` when it does. `granted: null` has all. */
export function missingScopes (granted: readonly string[] | null, required: ScopeRequirement): readonly string[] | null {
  if (granted === null) return null
  const { scopes = [], anyOfScopes } = required
  if (scopes.some((scope) => !granted.includes(scope))) return scopes
  if (anyOfScopes !== undefined && !anyOfScopes.some((scope) => granted.includes(scope))) return anyOfScopes
  return null
}

/** The scopes of a key cut to what its account may grant; `null` is everything. */
export function cutScopes (scopes: readonly string[] | null, grantable: readonly string[] | null): readonly string[] | null {
  if (grantable === null) return scopes
  return scopes === null ? grantable : scopes.filter((scope) => grantable.includes(scope))
}
