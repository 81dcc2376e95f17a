// Makes what shows a fault smaller: a plan with fewer bytes that still does.
import type { Plan } from './sender.js'

/** Tries that one may take: some wait for as long as the host lets them. */
const TRIES = 60

/** Takes away what is not needed: the cuts between pieces, then parts of the bytes, ever smaller ones. */
export async function smallest (plan: Plan, stillFails: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  const of = (bytes: Buffer): Plan => ({ ...plan, pieces: [bytes] })
  let bytes = Buffer.concat(plan.pieces)
  if (!await stillFails(of(bytes))) return plan
  let tries = 0
  for (let size = Math.ceil(bytes.length / 2); size >= 1 && tries < TRIES; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < bytes.length && tries < TRIES; tries++) {
      const fewer = Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + size)])
      if (await stillFails(of(fewer))) bytes = fewer
      else start += size
    }
  }
  return of(bytes)
}
