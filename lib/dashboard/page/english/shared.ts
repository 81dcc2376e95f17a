// Words of everything: what is done, what went wrong, and what a key is.

export const SHARED = {
  loading: 'Loading…',
  retry: 'Try again',
  refresh: 'Refresh',
  cancel: 'Cancel',
  close: 'Close',
  save: 'Save',
  saved: 'Saved.',
  copy: 'Copy',
  'copy.what': 'Copy {what}',
  copied: 'Copied to the clipboard.',
  'copied.short': 'Copied',

  'copy.failed': 'Could not copy. Select the text and copy it yourself.',
  never: 'Never',
  none: 'None',
  any: 'Any',
  of: '{part} of {whole}',

  'tab.keys': 'Keys',
  'tab.usage': 'Usage',
  'tab.sites': 'Sites',
  'tab.audit': 'Audit log',
  tabs: 'Sections',

  'signed-out.title': 'You are not signed in',
  'signed-out.text': 'Sign in to see and manage your API keys.',
  'signed-out.link': 'Sign in',

  'lost.text': 'Your session has ended. Nothing you typed is lost: sign in again in a new tab, then come back here.',

  'offline.text': 'You are offline. What you see may be old, and nothing can be changed.',

  'suspended.text': 'This account is suspended: its keys are refused until that ends.',

  'failure.offline': 'The server could not be reached. Nothing may have changed; it is safe to try again.',
  'failure.signed-out': 'Your session has ended. Sign in again in a new tab, then try again here: nothing you typed is lost.',
  'failure.no-token': 'Changes need a session token, which this page could not get. Sign in again.',
  'failure.limited': 'That was too often. Try again in {span}.',
  'failure.unavailable': 'A part of the service is not available. Try again shortly.',

  'error.KEY_LIMIT_REACHED': 'The account has as many keys as it may have. Revoke one you no longer need.',
  'error.SITE_LIMIT_REACHED': 'The account has as many sites as it may have. Remove one you no longer need.',
  'error.API_KEY_NOT_FOUND': 'This key is no longer there.',
  'error.API_KEY_NOT_ACTIVE': 'The key changed meanwhile, so this is not possible. Close this and look at it again.',
  'error.ACCOUNT_SUSPENDED': 'The account is suspended.',

  'environment.live': 'Live',
  'environment.test': 'Test',

  'access.secret': 'Secret',
  'access.publishable': 'Publishable',

  'status.active': 'Active',
  'status.retiring': 'Retiring',
  'status.disabled': 'Disabled',
  'status.expired': 'Expired',
  'status.revoked': 'Revoked'
} as const
