// A disk of a test's own that can be full or read-only: a tmpfs, mounted for it and gone with it.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface SmallDisk {
  readonly folder: string
  /** Nothing more can be written to it, or what filled it is gone. */
  setFull (full: boolean): void
  /** Only where nothing on it is open for writing. */
  setReadOnly (readOnly: boolean): void
}

/** Why there can be none here; null if there can. */
export function whyNoSmallDisk (): string | null {
  return process.platform === 'linux' && process.getuid?.() === 0 ? null : 'a small disk is a tmpfs, which root mounts on Linux'
}

/** Gone with the test. */
export function smallDisk (t: Test, megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  const run = (...command: string[]): void => {
    const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  }
  run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', folder)
  t.teardown(() => {
    // Lazily: whoever still has a file there open is ended by a teardown of its own.
    run('umount', '--lazy', folder)
    rmSync(folder, { recursive: true, force: true })
  })
  const filler = join(folder, 'filler')
  return {
    folder,
    setFull (full) {
      rmSync(filler, { force: true })
      if (full) fill(filler)
    },
    setReadOnly (readOnly) { run('mount', '-o', `remount,${readOnly ? 'ro' : 'rw'}`, folder) }
  }
}

function fill (file: string): void {
  const handle = openSync(file, 'w')
  const block = Buffer.alloc(4096, 1)
  try {
    for (;;) writeSync(handle, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(handle)
  }
}
