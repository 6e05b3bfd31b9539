import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'

const bases = new WeakMap<Test, string>()

/** A new folder, removed with the test: `t.testdir` has one that each call empties. */
export async function freshFolder(t: Test): Promise<string> {
  const base = bases.get(t) ?? t.testdir()
  bases.set(t, base)
  return await mkdtemp(join(base, 'model-'))
}
