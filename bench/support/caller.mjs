// Calls a variant, a function, one call after the other, and says what a call cost.
import { cpuTime, thisVariant } from './variant-process.mjs'

/** `samples(count)`: what to call with, new text each time, as a request would bring it. `isRight`: is that the expected answer? */
const { call, samples, isRight, counters = () => ({}) } = await thisVariant()

process.on('message', async (calls) => {
  const given = samples(calls)
  let wrong = 0
  const before = cpuTime()
  for (const one of given) if (!isRight(await call(one))) wrong++
  process.send({ cpu: (cpuTime() - before) / calls, wrong, ...counters() })
})
process.send('ready')
