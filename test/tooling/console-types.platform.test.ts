import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { startTestServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../../..')
const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

t.test('the console agrees with the server’s OpenAPI document, and with itself', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { fastify } = await startTestServer(t, { models })
  const document = (await fastify.inject('/docs/json')).json() as any
  const file = join(await temporaryFolder(t), 'openapi.json')
  writeFileSync(file, JSON.stringify(document))
  t.same(run('scripts/console-types.mjs', file), { status: 0, output: '' })
  t.same(run('node_modules/typescript/bin/tsc', '-p', 'src/console/tsconfig.json'), { status: 0, output: '' })
})
