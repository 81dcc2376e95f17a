// What those who seed a soak's database and the host that opens it must say alike.

export const OPTIONS = {
  scopes: {
    'blocks:read': 'Read blocks',
    'transactions:write': 'Submit transactions',
    'account:read': 'See keys and usage',
    'account:write': 'Manage keys'
  },
  keys: { prefix: 'soak', peppers: { current: 'p1', keys: { p1: 'a pepper of the soak, which is long enough' } } }
}

/** Whoever a token names is signed in. */
export function personOf (token) {
  return token === undefined ? null : { id: token, actor: { id: `person of ${token}`, name: 'Ada' }, profile: { name: 'Ada' } }
}
