// Puts the operations on keys together.
import type { Storage } from '../storage/storage.js'
import { operationContext, type OperationContextParts } from './operation-context.js'
import { keyManagement } from './key-management.js'
import type { KeyHasher } from './key-hash.js'
import { keyImport } from './key-import.js'
import { keyIssuing } from './key-issuing.js'
import type { KeyOperations } from './key-operations.js'
import { keyReads } from './key-reads.js'
import { keyView } from './key-view.js'
import type { KeyLimiter } from '../rate-limit/key-limiter.js'

export interface KeyOperationsParts extends OperationContextParts {
  readonly storage: Storage
  readonly hasher: KeyHasher
  readonly limiter: KeyLimiter
}

export function keyOperations (parts: KeyOperationsParts): KeyOperations {
  const view = keyView(parts)
  const operation = operationContext(parts)
  const shared = { ...parts, view, operation }
  return { ...keyIssuing(shared), ...keyManagement(shared), ...keyImport(shared), ...keyReads(shared) }
}
