import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const main = fileURLToPath(new URL('../../loadtest/main.js', import.meta.url))
const run = (...args: string[]): Promise<string> =>
  promisify(execFile)(process.execPath, [main, ...args]).then(
    () => 'it went well',
    ({ stderr, code }) => `${code}: ${stderr}`,
  )

t.test('what is wrong with its options is said at once', async (t) => {
  t.match(await run('--url', 'notaurl'), /^1: error: option '--url <url>' argument 'notaurl' is invalid/)
  t.match(await run('competitors', '--add'), /^1: error: option '--add' needs '--out/)
})

t.test('a server that accepts, and never answers, is none', async (t) => {
  const mute = createServer().listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  const { port } = mute.address() as AddressInfo
  t.match(await run('--url', `http://127.0.0.1:${port}`), /^1: .*nothing answers at http:\/\/127\.0\.0\.1:/s)
})

t.test('a model that is not there is not waited for', async (t) => {
  t.match(await run('--models', '/nowhere'), /^1: .*can't start: the models folder .*doesn't exist/s)
})
