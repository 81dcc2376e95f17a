// What is mutated, which tests try to notice it, and which changes are not tried: each with its reason.

export const FOLDERS = ['lib/keys', 'lib/http', 'lib/sessions']

/** Percent of the mutants that the tests must notice; a survivor that is explained is a survivor all the same. */
export const LEAST = 90

/** Matched with a test file's path, and with `path: name` for each test in it. */
const LEFT_OUT = [
  [/^test\/(architecture|docs)/, 'read texts; they run nothing'],
  [/^test\/(browser|bench|cli|dashboard\/|errors|migrating|time)/, 'are of other folders'],
  [/^test\/rate-limit\/(?!key-limiter|failed-verifications)|^test\/revocation\/channels/, 'are of other folders'],
  [/^test\/storage\/(kysely|migrate|mysql|postgres|usage-thread|write-queue)/, 'are of other folders'],
  [/^test\/(cluster|contracts|faults|races|revocation\/instances)/, 'run processes of their own, in which nothing is mutated'],
  [/: .*starts|^test\/options.test.ts: without a storage/, 'run processes of their own, in which nothing is mutated'],
  [/^test\/(http\/rate-limits-on-redis|.*: .*\b(MariaDB|Postgres)\b)/, 'start servers, and ask no more of these folders than memory does'],
  [/: (on sqlite$|SQLite, |kysely storage )/, 'ask no more of these folders than memory does'],
  [/^test\/options.test.ts: no option takes/, 'is of options, and slow'],
  [/: (6000 other keys|of 200 requests)/, 'are of counting, and slow']
]

export function isLeftOut (test) {
  return LEFT_OUT.some(([pattern]) => pattern.test(test))
}

/** Members of an object whose value people read, in the OpenAPI document, and nothing else does. */
const PROSE = new Set(['description', 'summary'])

/** @param path a place in the code, as Babel describes it @returns why nothing there and below is mutated; undefined where it is */
export function whyIgnored (path) {
  const isProse = ({ type, key }) => type === 'ObjectProperty' && PROSE.has(key.name)
  if (isProse(path.node) || (path.isObjectExpression() && path.node.properties.length > 0 && path.node.properties.every(isProse))) {
    return 'words of the OpenAPI document'
  }
}
