// The executable form of the storage port: one suite that every storage passes, under any test runner.
import { actingEndCases } from './contract/acting-ends.js'
import { actingCases } from './contract/acting.js'
import { auditCases } from './contract/audit.js'
import { erasureCases } from './contract/erasure.js'
import { importCases } from './contract/imports.js'
import { issueCases } from './contract/issue.js'
import { keyUsageCases } from './contract/key-usage.js'
import { keyCases } from './contract/keys.js'
import { listCases } from './contract/lists.js'
import { renewalCases } from './contract/renewal.js'
import { repeatedRequestCases } from './contract/repeated-requests.js'
import { revocationCases } from './contract/revocation.js'
import { rotationCases } from './contract/rotation.js'
import { siteCases } from './contract/sites.js'
import { statusCases } from './contract/statuses.js'
import { updateCases } from './contract/updates.js'
import { usageReadingCases } from './contract/usage-reading.js'
import { usageRecordingCases } from './contract/usage-recording.js'
import type { Storage } from './storage.js'

/** One claim about a storage: `run` rejects, with an AssertionError where an answer is wrong, if it does not hold. */
export interface ContractCase { readonly name: string, readonly run: () => Promise<void> }

const CASES = {
  ...issueCases,
  ...rotationCases,
  ...repeatedRequestCases,
  ...renewalCases,
  ...updateCases,
  ...revocationCases,
  ...statusCases,
  ...importCases,
  ...actingCases,
  ...actingEndCases,
  ...keyCases,
  ...listCases,
  ...siteCases,
  ...auditCases,
  ...erasureCases,
  ...usageReadingCases,
  ...usageRecordingCases,
  ...keyUsageCases
}

/** ms that a storage may take for anything while the suite runs, on a machine that is busy with other tests. */
const TIMEOUT = 60_000

/**
 * The suite, for a storage of your own:
 * ```ts
 * for (const { name, run } of storageContract(() => myStorage())) test(name, run)
 * ```
 * @param create makes an empty storage, not yet open. Each case makes its own, opens it and closes it.
 */
export function storageContract (create: () => Storage | Promise<Storage>): ContractCase[] {
  return Object.entries(CASES).map(([name, check]) => ({
    name,
    async run () {
      const storage = await create()
      await storage.open({ log: console, timeout: TIMEOUT })
      try {
        await check(storage)
      } finally {
        await storage.close()
      }
    }
  }))
}
