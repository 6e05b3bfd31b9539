import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { freePort } from '../../loadtest/free-port.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { cli, runCli, spawnCli } from '../support/cli.ts'
import { startProcess } from '../support/process.ts'
import { pythonWith } from '../support/python.ts'
import { until } from '../support/until.ts'

/*
 * The real `multigate sync` against stores that others wrote.
 */

const python = await pythonWith([
  'moto[s3]==5.2.5',
  'flask==3.1.*',
  'flask-cors==6.*',
  'gcp-storage-emulator==2026.7.19',
  'oras==0.2.43',
])
const needsPython = { skip: typeof python === 'string' ? python : false }
const needsRegistry = {
  skip:
    needsPython.skip ||
    (spawnSync('docker-registry', ['--version']).status === 0 ? false : 'docker-registry is not installed'),
}

interface Sync {
  child: ChildProcess
  output(): string
  ended: Promise<number | string>
}

function sync(t: Test, args: string[], env: Record<string, string> = {}): Sync {
  const child = spawn(process.execPath, [cli, 'sync', ...args], {
    env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true', ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return { child, output: () => output, ended }
}

const index = (folder: string) => runCli(['index', folder])

function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => path !== 'index.json' && !path.startsWith('.sync/'))
    .sort()
}

function sameFiles(t: Test, to: string, from: string): void {
  t.same(filesOf(to), filesOf(from))
  for (const path of filesOf(from)) t.ok(readFileSync(join(to, path)).equals(readFileSync(join(from, path))), path)
}

/** Starts a store of test/fixtures/object_stores.py and uploads a folder with its index. */
async function startStore(t: Test, kind: string) {
  if (typeof python === 'string') throw new Error(python)
  const child = python.start('object_stores.py', [kind])
  t.teardown(() => child.kill('SIGKILL'))
  child.stdin?.on('error', () => undefined)
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const [port, ...credentials] = ((await lines.next()).value as string).trim().split(' ')
  const put = async (key: string, file: string) => {
    child.stdin!.write(`put models ${key} ${file}\n`)
    const { value } = await lines.next()
    if (value !== 'done') throw new Error(value)
  }
  return {
    port,
    credentials,
    put,
    upload: async (folder: string) => {
      await index(folder)
      for (const path of [...filesOf(folder), 'index.json']) await put(`ranking/${path}`, join(folder, path))
    },
  }
}

async function modelsFolder(t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  return folder
}

t.test(
  'a server follows a plain web server through a new version, damage, an outage and a restart',
  needsPython,
  async (t) => {
    const from = await modelsFolder(t)
    const to = join(await temporaryFolder(t), 'models')
    t.match((await spawnCli(['index', from])).stdout, /index\.json: 1 models, 1 versions, \d+\.\d MB/)
    const web = async (port: number) => {
      const child = spawn('python3', ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', from], {
        stdio: 'ignore',
      })
      t.teardown(() => child.kill('SIGKILL'))
      await until(() =>
        fetch(`http://127.0.0.1:${port}/`).then(
          ({ ok }) => ok,
          () => false,
        ),
      )
      return child
    }
    const port = await freePort()
    let server = await web(port)
    const address = `http://127.0.0.1:${port}`
    const first = sync(t, [address, to, '--once'])
    t.equal(await first.ended, 0, first.output())
    sameFiles(t, to, from)

    const serving = await startProcess(t, { MULTIGATE_MODELS: to, MULTIGATE_POLL_SECONDS: '1' })
    const versionServed = async () => {
      const answer = await fetch(`http://127.0.0.1:${serving.port}/models/ads`)
      return ((await answer.json()) as { served_version?: string; version?: string }).version
    }
    const live = (await versionServed())!
    const next = String(Number(live) + 1)

    const sidecar = sync(t, [address, to, '--interval', '1', '--port', '0', '--keep', '1'])
    await until(() => /metrics are served/.test(sidecar.output()))
    const metricsAt = /"address":"(http:[^"]+)"/.exec(sidecar.output())![1]
    const metric = async (name: string) => {
      const text = await (await fetch(`${metricsAt}/metrics`)).text()
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1),
      )
    }
    t.equal(await (await fetch(`${metricsAt}/livez`)).text(), 'ok\n')
    t.equal((await fetch(`${metricsAt}/other`)).status, 404)
    t.ok((await metric('process_start_time_seconds')) > 0, 'what MultigateSyncStale counts from')

    // A new version, first with a damaged graph.
    await writeTestBundle(from, { version: next })
    await index(from)
    const [graph] = filesOf(join(from, 'ads', next)).filter((path) => path !== 'manifest.json')
    const whole = readFileSync(join(from, 'ads', next, graph!))
    writeFileSync(join(from, 'ads', next, graph!), whole.subarray(0, whole.length - 1))
    await until(async () => (await metric('multigate_sync_versions{state="missing"}')) === 1)
    t.match(sidecar.output(), /"reason":"http:[^"]+ ends after \d+ of \d+ bytes"/)
    t.notOk(existsSync(join(to, 'ads', next)))
    t.equal(await versionServed(), live)
    const before = await metric('multigate_sync_last_success_timestamp_seconds')
    writeFileSync(join(from, 'ads', next, graph!), whole)
    await until(async () => (await versionServed()) === next)
    await until(async () => (await metric('multigate_sync_last_success_timestamp_seconds')) > before)
    sameFiles(t, to, from)

    // The old one goes at the source.
    rmSync(join(from, 'ads', live), { recursive: true })
    await index(from)
    await until(() => !existsSync(join(to, 'ads', live)))
    t.equal(await versionServed(), next)

    server.kill('SIGKILL')
    await until(async () => (await metric('multigate_sync_passes_total{outcome="failed"}')) > 0)
    sameFiles(t, to, from)
    const cold = sync(t, [address, to, '--once'])
    t.equal(await cold.ended, 0, 'the last good copy is enough to start')
    t.match(cold.output(), /the source could not be read; the folder stays unchanged/)
    sidecar.child.kill('SIGKILL')
    await sidecar.ended
    renameSync(join(to, 'ads', next, 'manifest.json'), join(to, 'ads', next, 'manifest.lost'))
    server = await web(port)
    const again = sync(t, [address, to, '--interval', '1'])
    await until(() => existsSync(join(to, 'ads', next, 'manifest.json')))
    again.child.kill('SIGTERM')
    t.equal(await again.ended, 0, again.output())
    sameFiles(t, to, from)
    const empty = sync(t, [`${address}/nothing`, join(to, '../other'), '--once'])
    t.equal(await empty.ended, 1)
    t.match(empty.output(), /HTTP 404 File not found.*\n.*the folder holds no model/)
  },
)

t.test('Amazon S3', needsPython, async (t) => {
  const from = await modelsFolder(t)
  const to = await temporaryFolder(t)
  const { port, credentials, upload, put } = await startStore(t, 's3')
  await upload(from)
  const env = {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: credentials[0]!,
    AWS_SECRET_ACCESS_KEY: credentials[1]!,
  }
  const denied = sync(t, ['s3://models/ranking', to, '--once'], { ...env, AWS_SECRET_ACCESS_KEY: 'wrong' })
  t.equal(await denied.ended, 1)
  t.match(denied.output(), /s3:\/\/models\/ranking\/index\.json: SignatureDoesNotMatch/)
  const good = sync(t, ['s3://models/ranking/', to, '--interval', '1'], env)
  await until(() => /pass done/.test(good.output()))
  sameFiles(t, to, from)
  await writeTestBundle(from, { version: '9' })
  await upload(from)
  await until(() => existsSync(join(to, 'ads/9')))
  sameFiles(t, to, from)
  // Published in the wrong order: the index is there before what it lists.
  await writeTestBundle(from, { version: '10' })
  await index(from)
  await put('ranking/index.json', join(from, 'index.json'))
  await until(() => /s3:\/\/models\/ranking\/ads\/10\/[^:]+: NoSuchKey/.test(good.output()))
  await upload(from)
  await until(() => existsSync(join(to, 'ads/10')))
  sameFiles(t, to, from)
})

t.test('Google Cloud Storage', needsPython, async (t) => {
  const from = await modelsFolder(t)
  const to = await temporaryFolder(t)
  const { port, upload } = await startStore(t, 'gcs')
  await upload(from)
  const env = { STORAGE_EMULATOR_HOST: `127.0.0.1:${port}` }
  const good = sync(t, ['gs://models/ranking', to, '--once'], env)
  t.equal(await good.ended, 0, good.output())
  sameFiles(t, to, from)
  const missing = sync(t, ['gs://models/other', await temporaryFolder(t), '--once'], env)
  t.equal(await missing.ended, 1)
  t.match(missing.output(), /\/storage\/v1\/b\/models\/o\/other%2Findex\.json: HTTP 404/)
})

t.test('an OCI registry, with a password', needsRegistry, async (t) => {
  if (typeof python === 'string') return
  const from = join(await temporaryFolder(t), 'models')
  await writeTestBundle(from)
  const folder = await temporaryFolder(t)
  const port = await freePort()
  // Of the password "secret", by bcrypt.
  writeFileSync(join(folder, 'htpasswd'), 'reader:$2b$04$qxTfNfedzrGFJtDZ7V17wuYiVPY7PLK4CMuamtV/B5QqnYX/Uce0q\n')
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1
storage: {filesystem: {rootdirectory: ${folder}/data}}
http: {addr: "127.0.0.1:${port}"}
auth: {htpasswd: {realm: models, path: ${folder}/htpasswd}}
`,
  )
  const registry = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  t.teardown(() => registry.kill('SIGKILL'))
  await until(() =>
    fetch(`http://127.0.0.1:${port}/v2/`).then(
      ({ status }) => status === 401,
      () => false,
    ),
  )
  const push = () => python.run('oras_push.py', [`127.0.0.1:${port}/team/models:prod`, from, 'reader', 'secret'])
  await push()
  const address = `oci://127.0.0.1:${port}/team/models:prod`
  const login = (user: string) => {
    mkdirSync(join(folder, user), { recursive: true })
    const auth = Buffer.from(`${user}:secret`).toString('base64')
    writeFileSync(join(folder, user, 'config.json'), JSON.stringify({ auths: { [`127.0.0.1:${port}`]: { auth } } }))
    return { DOCKER_CONFIG: join(folder, user) }
  }
  const to = await temporaryFolder(t)
  const anonymous = sync(t, [address, to, '--once'], { DOCKER_CONFIG: folder })
  t.equal(await anonymous.ended, 1)
  t.match(anonymous.output(), /asks for a password, and docker's configuration has none for it/)
  const wrong = sync(t, [address, to, '--once'], login('nobody'))
  t.equal(await wrong.ended, 1)
  t.match(wrong.output(), /HTTP 401/)
  const good = sync(t, [address, to, '--interval', '1'], login('reader'))
  await until(() => /pass done/.test(good.output()))
  sameFiles(t, to, from)
  await writeTestBundle(from, { version: '9' })
  await push()
  await until(() => existsSync(join(to, 'ads/9')))
  sameFiles(t, to, from)
})

t.test('wrong usage', async (t) => {
  const cases: [string[], RegExp][] = [
    [['ftp://x/y'], /sources are folders, https:\/\/, s3:\/\/, gs:\/\/ and oci:\/\//],
    [['s3://'], /names no bucket, such as s3:\/\/bucket\/models/],
    [['oci://registry'], /is not an artefact, such as oci:/],
    [['https://x:y:z'], /is not a URL/],
    [['models', '--interval', '0'], /must be a whole number from 1 to 86400/],
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await runCli(['sync', args[0]!, '/tmp/x', ...args.slice(1)])
    t.not(code, 0)
    t.match(stderr, message)
  }
})
