import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../../loadtest/free-port.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { needsPython, python, type StartedStore, startStore } from '../../support/object-stores.ts'
import { filesOf, index, modelsFolder, sameFiles, sync } from '../../support/sync.ts'
import { writeTable } from '../../support/tables.ts'
import { until } from '../../support/until.ts'

/*
 * The real `multigate sync` against stores that others wrote.
 */

const needsRegistry = {
  skip:
    needsPython.skip ||
    (spawnSync('docker-registry', ['--version']).status === 0 ? false : 'docker-registry is not installed'),
}

/** Uploads a folder with its index. */
async function upload({ put }: StartedStore, folder: string): Promise<void> {
  await index(folder)
  for (const path of [...filesOf(folder), '.tables/index.json', 'index.json'])
    await put(`ranking/${path}`, join(folder, path))
}

t.test('Amazon S3', needsPython, async (t) => {
  const from = await modelsFolder(t)
  const to = await temporaryFolder(t)
  const store = await startStore(t, 's3')
  const { env, put } = store
  await upload(store, from)
  const denied = sync(t, ['s3://models/ranking', to, '--once'], { ...env, AWS_SECRET_ACCESS_KEY: 'wrong' })
  t.equal(await denied.ended, 1)
  t.match(denied.output(), /s3:\/\/models\/ranking\/index\.json: SignatureDoesNotMatch/)
  const good = sync(t, ['s3://models/ranking/', to, '--interval', '1'], env)
  await until(() => /pass done/.test(good.output()))
  sameFiles(t, to, from)
  await writeTestBundle(from, { version: '9' })
  await upload(store, from)
  await until(() => existsSync(join(to, 'ads/9')))
  sameFiles(t, to, from)
  // Published in the wrong order: the index is there before what it lists.
  await writeTestBundle(from, { version: '10' })
  await index(from)
  await put('ranking/index.json', join(from, 'index.json'))
  await until(() => /s3:\/\/models\/ranking\/ads\/10\/[^:]+: NoSuchKey/.test(good.output()))
  await upload(store, from)
  await until(() => existsSync(join(to, 'ads/10')))
  sameFiles(t, to, from)
})

t.test('Google Cloud Storage', needsPython, async (t) => {
  const from = await modelsFolder(t)
  const to = await temporaryFolder(t)
  const store = await startStore(t, 'gcs')
  const { env } = store
  await upload(store, from)
  const good = sync(t, ['gs://models/ranking', to, '--once'], env)
  t.equal(await good.ended, 0, good.output())
  sameFiles(t, to, from)
  const missing = sync(t, ['gs://models/other', await temporaryFolder(t), '--once'], env)
  t.equal(await missing.ended, 1)
  t.match(missing.output(), /\/storage\/v1\/b\/models\/o\/other%2Findex\.json: HTTP 404/)
})

t.test('an OCI registry, with a password', needsRegistry, async (t) => {
  if (typeof python === 'string') return
  const { run } = python
  const from = join(await temporaryFolder(t), 'models')
  await writeTestBundle(from)
  await writeTable(from, 'users', [{ id: 'u1', country: 'DE' }])
  const folder = await temporaryFolder(t)
  const port = await freePort()
  // The bcrypt hash of the password "secret".
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
  const push = () => run('oras_push.py', [`127.0.0.1:${port}/team/models:prod`, from, 'reader', 'secret'])
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
