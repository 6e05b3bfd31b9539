import { spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { sendNoUsageData } from '../../src/base/process.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { library } from '../support/entries.ts'

const root = join(import.meta.dirname, '../../..')

/** Loads a model, in a worker and where nothing is compiled yet, and says what native code sees. */
const program = `
import { loadModel } from ${JSON.stringify(library)}
const model = await loadModel('models/ads-funnel/1', { workers: 1, cache: 'off' })
await model.close()
console.log(process.env.ORT_DISABLE_TELEMETRY)
`

t.test('ONNX Runtime sends no usage data', async (t) => {
  const home = await temporaryFolder(t)
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'load.mjs'), program)
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: home }
  delete env.XDG_CACHE_HOME
  delete env.ORT_DISABLE_TELEMETRY
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'load.mjs')], {
    cwd: root,
    env,
    encoding: 'utf8',
  })
  t.equal(stdout, '1\n', stderr)
  // Where it reports, it keeps the machine's id and what it has yet to send below the home folder, from its start on.
  t.same(await readdir(home), [])
})

t.test('what the user has set stays', async (t) => {
  const env = { ORT_DISABLE_TELEMETRY: '0' }
  sendNoUsageData(env)
  t.same(env, { ORT_DISABLE_TELEMETRY: '0' })
})
