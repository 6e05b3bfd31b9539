import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'

const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

function doctor(variables: Record<string, string>): Promise<{ code: number; text: string }> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_')))
  return new Promise((resolve) => {
    // The limit of this machine is its own.
    execFile(
      'sh',
      ['-c', 'ulimit -n 4096; exec "$0" "$@"', process.execPath, cli, 'doctor'],
      { env: { ...env, ...variables } },
      (error, stdout) => resolve({ code: Number(error?.code ?? 0), text: stdout }),
    )
  })
}

t.test('a machine on which all is well', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { code, text } = await doctor({
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(models, 'cache'),
    MULTIGATE_WORKERS: '3',
  })
  t.match(text, /^multigate \d+\.\d+\.\d+, Node v\d+/)
  for (const line of [
    /\d of \d+ cores available; /,
    /^ok {5}MULTIGATE_WORKERS: 3$/m,
    /^ok {5}engine: onnx/m,
    /^ok {5}plan cache: \S+cache, .* free$/m,
  ])
    t.match(text, line)
  t.notMatch(text, /MULTIGATE_PORT/, 'defaults are not listed')
  t.match(text, /^ok {5}models: \S+, 2 models$|^ok {5}models: \S+, 1 model$/m)
  t.equal(code, 0, text)
  t.match(text, /All checks passed\.\n$/)
})

t.test('every fault is named, and no secret is read out', async (t) => {
  const folder = await temporaryFolder(t)
  const keys = join(folder, 'keys.json')
  writeFileSync(keys, '{"keys": [{"id": "a", "sha256": "not one: hunter2"}]}')
  const { code, text } = await doctor({
    MULTIGATE_MODELS: join(folder, 'none'),
    MULTIGATE_CACHE: join(keys, 'plans'),
    MULTIGATE_HOST: '0.0.0.0',
    MULTIGATE_KEYS: keys,
    MULTIGATE_TLS_CERT: join(folder, 'none.crt'),
    MULTIGATE_MODLES: 'typo',
  })
  t.equal(code, 1)
  for (const line of [
    /^FAILED MULTIGATE_MODLES: is not a setting$/m,
    /^FAILED models: \S+none is missing$/m,
    /^FAILED plan cache: \S+plans can't be written: \S+ is not a folder$/m,
    /^FAILED keys: the file of keys \S+ can't be used: \/keys\/0\//m,
    /^FAILED certificate: MULTIGATE_TLS_CERT needs MULTIGATE_TLS_KEY/m,
    /^5 of \d+ checks failed\.$/m,
  ])
    t.match(text, line)
  t.notMatch(text, /hunter2/)
  const admin = await doctor({ MULTIGATE_HOST: '0.0.0.0', MULTIGATE_ADMIN: 'true', MULTIGATE_PORT: 'abc' })
  t.match(admin.text, /^FAILED settings: MULTIGATE_PORT must be an integer/m)
})
