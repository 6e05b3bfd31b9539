import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { threadOptions } from '../../src/base/process.ts'
import { library } from '../support/entries.ts'

/** Compiles in a thread, and asks with a body that another one reads. */
const program = `
import { createServer } from ${JSON.stringify(library)}
const server = await createServer({
  models: 'models', requiredModels: 'ads-funnel', port: 0, workers: 1, drainDelayMs: 0, warmUpMs: 0, logLevel: 'warn', cache: 'off',
})
await server.ready
const candidates = Array.from({ length: 5000 }, (_, i) => ({ id: 'candidate-' + i, campaign: 'c9', price: 1.25, bid: 0.8 }))
const context = { country: 'DE', hour: 21, segment: 's17' }
const { status } = await fetch(server.url + '/predict', {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-deadline-ms': '60000' },
  body: JSON.stringify({ model: 'ads-funnel', context, candidates }),
})
await server.close()
console.log(status)
`

t.test('a program that node reads from its input can use the library', async (t) => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module'], {
    cwd: join(import.meta.dirname, '../../..'),
    input: program,
    encoding: 'utf8',
  })
  t.match(stdout, /^200$/m, stderr)
  t.notMatch(stdout, 'compiling failed')
})

t.test('threads take over other arguments of node', async (t) => {
  t.same(threadOptions(['--import', './hook.mjs', '--max-old-space-size=200']), {})
  t.same(threadOptions(['--input-type=module', '-e', 'program']), { execArgv: [] })
  t.same(threadOptions(['--input-type', 'module']), { execArgv: [] })
})
