// How keys come to be: the pure decisions to issue one, and to replace one by another.
import { beyondActing, boundTo, latestEnd } from './acting-key.js'
import { hasEnded, statusOf, type NewKey, type StoredKey } from './api-key.js'
import { actingFault, beyond, entryOf, notActive, notFound, refused, rememberedOf, replayOf, wantsOne } from './intention-parts.js'
import type { IssueKeyInput, KeyDecision, KeyIntention, KeyRows, RotateKeyInput } from './key-changes.js'
import { successorOf, updatesOfRotation } from './key-rotation.js'

function rotated (
  input: IssueKeyInput | RotateKeyInput, key: StoredKey, { predecessor }: KeyRows, insert: NewKey, overlap: number
): KeyDecision {
  const updates = updatesOfRotation(key, predecessor, overlap, input.now)
  return {
    outcome: 'changed',
    updates,
    insert,
    remember: rememberedOf(input, updates),
    entries: [entryOf(input, 'api_key.rotated', key, { successor: insert.publicId })]
  }
}

export const issueKey: KeyIntention<IssueKeyInput> = {
  wants: ({ key, acting, idempotency }) => ({
    accountId: key.accountId,
    slot: key.isDefault ? key.environment : undefined,
    actingId: acting?.publicId,
    remembered: idempotency?.hash
  }),
  decide (input, rows) {
    const { key, now } = input
    const { target: holder, acting } = rows
    const answer = actingFault(input, rows) ?? replayOf(input, rows)
    if (answer !== null) return answer
    const rotates = holder !== null && (holder.disabledBy === 'host' || !hasEnded(holder, now))
    if (rotates && holder.disabledBy === 'host') return notActive(holder, now)
    const insert = boundTo(input, acting, input.expiryGiven, rotates ? defaultSuccessor(holder, key) : key)
    const outside = beyond((rotates ? beyondActing(acting, holder) ?? cutShort(key, insert, holder) : null) ??
      beyondActing(acting, insert, latestEnd(acting, input.acting, now)))
    if (outside !== null) return outside
    if (rotates) return rotated(input, holder, rows, insert, 0)
    // A rotation replaces one key by one and is never refused for the number of keys.
    if (rows.current >= input.maxKeys) return refused({ reason: 'limit' })
    // An expired default is not revoked, it only loses its slot: nothing was taken from the customer.
    const updates = holder === null ? [] : [{ key: holder, set: { isDefault: false } }]
    return { outcome: 'changed', updates, insert, remember: rememberedOf(input, updates), entries: [entryOf(input, 'api_key.issued', insert)] }
  }
}

export const rotateKey: KeyIntention<RotateKeyInput> = {
  wants: (input) => ({ ...wantsOne(input), remembered: input.idempotency?.hash }),
  decide (input, rows) {
    const { now, secret } = input
    const { target, acting } = rows
    if (target === null) return notFound
    const answer = actingFault(input, rows) ?? beyond(beyondActing(acting, target)) ?? replayOf(input, rows)
    if (answer !== null) return answer
    if (statusOf(target, now) !== 'active') return notActive(target, now)
    const like = successorOf(target, secret, target.isDefault ? input.defaultExpiresAt : target.expiresAt)
    // Nobody chose the expiry of a default key; a named key's was chosen, and is kept or refused.
    const insert = boundTo(input, acting, !target.isDefault, like)
    const outside = beyond(cutShort(like, insert, target) ?? beyondActing(acting, insert, latestEnd(acting, input.acting, now)))
    return outside ?? rotated(input, target, rows, insert, input.overlap)
  }
}

/** Where the host now makes default keys of the other access, what the old one might do means nothing to the new one. */
function defaultSuccessor (holder: StoredKey, key: NewKey): NewKey {
  return holder.access === key.access ? successorOf(holder, key, key.expiresAt) : { ...key, rotatedFrom: holder.publicId }
}

/** What nobody chose may be cut to what the acting key may give, but not so that the account loses a key earlier than it would. */
function cutShort (asked: NewKey, bound: NewKey, old: StoredKey): 'expiresAt' | null {
  const cut = bound.expiresAt !== asked.expiresAt
  return cut && bound.expiresAt! < (old.expiresAt ?? Infinity) ? 'expiresAt' : null
}
