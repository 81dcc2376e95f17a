// Work that repeats in the background: one run at a time, and it never keeps the process alive.

export interface Repeated {
  /** No more runs; resolves when the one under way is over. */
  stop (): Promise<void>
}

/** Runs `task` every `ms`, the first time after `first`. What it throws is given to `onError`; the next run comes all the same. */
export function repeat (ms: number, first: number, task: () => Promise<void>, onError: (error: unknown) => void): Repeated {
  let stopped = false
  let running = Promise.resolve()
  let timer = setTimeout(run, first).unref()

  function run (): void {
    running = task().catch(onError).then(() => {
      if (!stopped) timer = setTimeout(run, ms).unref()
    })
  }

  return {
    async stop () {
      stopped = true
      clearTimeout(timer)
      await running
    }
  }
}
