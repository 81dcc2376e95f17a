// Keeps what was answered to changes, by request, and compares it with the audit log: one entry a change that was made, none for any other.
import type { StoredAuditEntry } from '../../lib/audit/audit-entry.js'
import type { Answer } from './answers.js'

/** How many entries an answer may stand for. */
interface Worth { readonly answer: string, readonly least: number, readonly most: number }

export interface Ledger {
  note (answer: Answer): void
  /** Changes that were answered for certain. */
  readonly changes: number
  /** Keys that answers showed. */
  readonly plaintexts: readonly string[]
  /** @returns what is wrong between the answers and the entries of a time without other changes */
  compare (entries: readonly StoredAuditEntry[]): string[]
}

const PLAINTEXT = /"plaintextKey":"([^"]+)"/
const NOTHING = { least: 0, most: 0 }
const PERHAPS = { least: 0, most: 1 }
const ONE = { least: 1, most: 1 }

export function startLedger (): Ledger {
  const worths = new Map<string, Worth>()
  const twice: string[] = []
  const plaintexts: string[] = []
  return {
    plaintexts,
    note (answer) {
      const requestId = answer.headers.get('x-request-id')
      if (requestId === undefined) return
      if (worths.has(requestId)) twice.push(`${requestId} was answered twice`)
      worths.set(requestId, { answer: `${answer.status} to ${answer.headers.get('x-method')} ${answer.headers.get('x-route')}`, ...worthOf(answer) })
      if (answer.status === 201) plaintexts.push(...PLAINTEXT.exec(String(answer.body))?.slice(1) ?? [])
    },
    get changes () { return [...worths.values()].filter(({ least }) => least === 1).length },
    compare (entries) {
      const counts = new Map<string, number>()
      for (const { requestId } of entries) counts.set(requestId!, 1 + (counts.get(requestId!) ?? 0))
      const wrong = [...worths].map(([requestId, { answer, least, most }]) => {
        const count = counts.get(requestId) ?? 0
        return count >= least && count <= most ? null : `${requestId}, ${answer}, has ${count} audit entries`
      })
      // An answer that was lost on the way may have been to one change at most.
      const several = [...counts].filter(([requestId, count]) => !worths.has(requestId) && count > 1).map(([requestId, count]) => `${requestId} has ${count} audit entries`)
      return [...twice, ...wrong.filter((text) => text !== null), ...several]
    }
  }
}

function worthOf ({ status, headers, body }: Answer): Pick<Worth, 'least' | 'most'> {
  if (status < 200 || status >= 300) return NOTHING
  switch (`${headers.get('x-method')} ${headers.get('x-route')}`) {
    case 'POST /v1/me/api-keys':
    case 'POST /v1/me/api-keys/:publicId/rotate': return JSON.parse(String(body)).replayed === true ? NOTHING : ONE
    case 'DELETE /v1/me/sites/:siteId': return ONE
    // What is so already is answered as if it were made so.
    case 'POST /v1/me/api-keys/:publicId/renew':
    case 'PATCH /v1/me/api-keys/:publicId':
    case 'DELETE /v1/me/api-keys/:publicId':
    case 'POST /v1/me/sites': return PERHAPS
    default: return NOTHING
  }
}
