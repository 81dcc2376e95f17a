// Every key of an account, page by page: the lists of the documents have no pages.
import type { ApiKey, KeyOperations, ListOptions } from 'fastify-self-serve-keys'

/** Newest first within a page; keys that have not ended are all on the first. */
export async function allKeys (keys: KeyOperations, accountId: string, filter: Pick<ListOptions, 'environment'> = {}): Promise<ApiKey[]> {
  const all: ApiKey[] = []
  let before: string | null | undefined
  while (before !== null) {
    const page = await keys.list(accountId, { ...filter, before })
    all.push(...page.apiKeys)
    before = page.before
  }
  return all
}
