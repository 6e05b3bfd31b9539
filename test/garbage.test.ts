import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

t.test('the heap may grow to four times what is in use, before all of it is collected', async (t) => {
  // V8 prints its flags as they stand, and ends the process; to a pipe, not all of it arrives.
  const script = `
    import { setFlagsFromString } from 'node:v8'
    import { collectSeldom } from '${new URL('../src/garbage.js', import.meta.url)}'
    collectSeldom()
    setFlagsFromString('--help')
  `
  const path = join(t.testdir(), 'flags')
  const file = openSync(path, 'w')
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', file, 'pipe'],
  })
  closeSync(file)
  t.match(readFileSync(path, 'utf8'), /default: --heap-growing-percent=300\n/, String(run.stderr))
})
