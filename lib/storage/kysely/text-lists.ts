// Lists of text as they are kept: JSON in a column.

/** Most lists are empty: they are this one, so that keys by the thousand need no list each. */
const NONE: readonly string[] = Object.freeze([])

export function parseList (json: string): readonly string[] {
  return json === '[]' ? NONE : JSON.parse(json) as string[]
}

export function parseScopes (scopes: string | null): readonly string[] | null {
  return scopes === null ? null : parseList(scopes)
}

export function formatScopes (scopes: readonly string[] | null): string | null {
  return scopes === null ? null : JSON.stringify(scopes)
}
