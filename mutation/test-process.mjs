// A process that runs tests with one mutant awake, replaced where it hangs, ends or has grown.
import { fork } from 'node:child_process'
import { join } from 'node:path'

/** ms after which a process is given up that does not give up itself: in a loop without end it cannot. */
const LONGEST = 120_000
/** Bytes of memory after which a process is replaced: each run leaves its modules behind. */
const GROWN = 1.5e9

export class TestProcess {
  #child = null
  #folder
  #runs = 0

  constructor (folder) {
    this.#folder = folder
  }

  /**
   * @param order what worker.mjs is told, but for the number of the run
   * @returns what worker.mjs found; null if it came to no end
   */
  async run (order) {
    this.#child ??= await this.#start()
    const child = this.#child
    const answer = await new Promise((resolve) => {
      const timer = setTimeout(() => { resolve(null) }, LONGEST)
      child.answer = (found) => {
        clearTimeout(timer)
        resolve(found)
      }
      child.send({ ...order, run: ++this.#runs })
    })
    if (answer === null || answer.hangs || answer.memory > GROWN) this.end()
    return answer
  }

  end () {
    this.#child?.kill('SIGKILL')
    this.#child = null
  }

  async #start () {
    // What tests print says nothing here.
    const child = fork(join(import.meta.dirname, 'worker.mjs'), {
      cwd: this.#folder, env: { ...process.env, MODEL_RUNS: '40' }, execArgv: ['--disable-warning=ExperimentalWarning'], stdio: ['ignore', 'ignore', 'ignore', 'ipc']
    })
    child.on('exit', () => {
      child.answer?.(null)
      if (this.#child === child) this.#child = null
    })
    // tap has messages of its own for whoever started it.
    await new Promise((resolve) => {
      child.on('message', ({ ready, found }) => {
        if (ready) resolve()
        if (found !== undefined) child.answer(found)
      })
    })
    return child
  }
}
