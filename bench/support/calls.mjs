// Measures what calls of a function cost in process: CPU a call, each variant in a process of its own, all in one run.
import { startVariant } from './variant-process.mjs'

/**
 * @param cases [{ name, context, calls, nodeOptions }]: a variant of the benchmark's file and how many calls a round makes of it
 * @returns by name the rounds, { cpu, … }: CPU µs a call, and what the variant counts
 */
export async function measureCalls ({ file, cases, rounds, profile, note }) {
  const processes = []
  for (const { name, context, calls, nodeOptions } of cases) {
    note(`preparing: ${name}`)
    processes.push({ calls, ...await startVariant('caller.mjs', { file, name, context, profile, nodeOptions }) })
  }
  const run = async ({ name, calls, ask }) => {
    const round = await ask(calls)
    if (round.wrong > 0) throw new Error(`${name}: ${round.wrong} of ${calls} calls were not answered as they should be.`)
    return round
  }

  note(`warming up ${processes.length} processes`)
  for (const one of processes) await run(one)
  const results = new Map(processes.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    note(`round ${round + 1} of ${rounds}`)
    for (const one of round % 2 === 0 ? processes : processes.toReversed()) results.get(one.name).push(await run(one))
  }
  for (const one of processes) await one.stop()
  return results
}

/** Lines of equal length, outside the heap: one is taken out as text that nobody has read before. */
export function linesOf (buffer) {
  const width = buffer.indexOf('\n') + 1 || buffer.length + 1
  const count = Math.ceil(buffer.length / width)
  const at = (i) => buffer.latin1Slice(i * width, (i + 1) * width - 1)
  return {
    count,
    at,
    /** This many, at random. */
    samples: (number) => Array.from({ length: number }, () => at(Math.floor(Math.random() * count)))
  }
}
