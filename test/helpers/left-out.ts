// Tests whose server or browser is not installed.

/** What a test's options say of what is missing, if anything is: it is left out, or fails if REQUIRE_SERVERS=1. */
export function leftOut (missing: string | null): { skip: string | false } {
  if (missing !== null && process.env.REQUIRE_SERVERS === '1') throw new Error(missing)
  return { skip: missing !== null && `left out: ${missing}` }
}
