import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { serverArgv, youngGeneration } from '../../src/app/v8-flags.ts'

t.test('the heap may grow to four times what is in use, before all of it is collected', async (t) => {
  // V8 prints its flags as they stand, and ends the process; to a pipe, not all of it arrives.
  const script = `
    import { setFlagsFromString } from 'node:v8'
    import { collectSeldom } from '${new URL('../../src/app/v8-flags.js', import.meta.url)}'
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

t.test('whatever starts a server has its young generation collected often', async (t) => {
  const root = new URL('../../../', import.meta.url)
  t.match(readFileSync(new URL('package.json', root), 'utf8'), `exec node ${youngGeneration} dist/main.js`)
  t.match(readFileSync(new URL('Dockerfile', root), 'utf8'), `CMD ["node", "${youngGeneration}", "dist/main.js"]`)
  t.same(serverArgv(['--trace-warnings'], ''), ['--trace-warnings', youngGeneration])
  t.same(serverArgv(['--max_semi_space_size=64'], ''), ['--max_semi_space_size=64'], 'but as large as is asked for')
  t.same(serverArgv([], '--max-semi-space-size=8'), [])
})
