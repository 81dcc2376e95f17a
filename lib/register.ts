// The one interface a host may widen to narrow our types: scopes, account, metadata.

/**
 * Narrow the library's types for your app, once, anywhere in your code:
 * ```ts
 * declare module 'fastify-self-serve-keys' {
 *   interface Register { scopes: 'blocks:read' | 'transactions:write' }
 * }
 * ```
 * Members: `scopes` (a union of scope names), `profile` (what `account.profile` holds), `metadata` (what a key's `metadata` holds).
 */
export interface Register {}

/** A scope, `resource:action`; any string unless the host registered a union. */
export type Scope = Register extends { scopes: infer S extends string } ? S : string

/** What the host's session says of a person, on `request.caller.account`. */
export type Profile = Register extends { profile: infer P extends object } ? P : Record<string, unknown>

/** What the host attached to a key. */
export type Metadata = Register extends { metadata: infer M extends object } ? M : Record<string, unknown>
