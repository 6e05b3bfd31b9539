import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let own: string | undefined

/**
 * The folder of the files that test files leave for each other: that of the run, which scripts/test.mjs makes, or
 * without one that of this process.
 */
export function runFolder(): string {
  const { TEST_RUN } = process.env
  if (TEST_RUN) return TEST_RUN
  if (own === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'multigate-test-'))
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
    own = made
  }
  return own
}
