import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { runCli, spawnCli } from '../support/cli.ts'
import { findHelm, render } from '../support/helm.ts'
import { run, whenReady } from '../support/process.ts'
import { until } from '../support/until.ts'

/*
 * The Deployment of the chart, started without a cluster: the real server with its variables, its probes, and the pod
 * of `helm test`. Only the paths of volumes, the ports and the name of the service are others.
 */

const root = join(import.meta.dirname, '../../..')
const { helm, skip } = await findHelm()

const values = {
  settings: {
    port: 13_000,
    adminPort: 13_001,
    adminHost: '127.0.0.2',
    drainDelayMs: 0,
    workers: 1,
  },
  models: { existingClaim: 'models' },
  keys: { secret: 'keys' },
  tls: { secret: 'tls', clientCa: { secret: 'client-ca' }, clientSecret: 'client' },
  tests: { keySecret: { name: 'key' } },
}

/** An authority with the certificates that the Secrets hold, in folders as they are mounted. */
async function writeSecrets(etc: string): Promise<void> {
  for (const folder of ['keys', 'tls', 'client-ca', 'client', 'test-key'])
    await mkdir(join(etc, folder), { recursive: true })
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: etc, stdio: 'pipe' })
  const authority = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3', '-subj', '/CN=authority']
  openssl('req', ...authority, '-keyout', 'ca.key', '-out', 'client-ca/ca.crt')
  for (const [name, alternative] of [
    ['tls', 'DNS:ads-multigate.ranking.svc,IP:127.0.0.1'],
    ['client', 'DNS:client'],
  ]) {
    const file = (extension: string) => join(etc, name!, `tls.${extension}`)
    const request = [
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      file('key'),
      '-out',
      file('csr'),
    ]
    openssl('req', ...request)
    await writeFile(file('ext'), `subjectAltName=${alternative}`)
    const signed = [
      '-CA',
      'client-ca/ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '3',
      '-extfile',
      file('ext'),
    ]
    openssl('x509', '-req', '-in', file('csr'), '-out', file('crt'), ...signed)
  }
  await cp(join(etc, 'client-ca/ca.crt'), join(etc, 'tls/ca.crt'))
  const { stdout: key } = await spawnCli(['keys', 'create', 'backend', '--file', join(etc, 'keys/keys.json')])
  await writeFile(join(etc, 'test-key/key'), key)
}

t.test('the rendered Deployment serves, is probed, and passes `helm test`', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const etc = join(folder, 'etc')
  await writeSecrets(etc)
  const models = join(folder, 'models')
  await cp(join(root, 'models'), models, { recursive: true })
  const { objects } = await render(t, helm, values)
  const server = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers[0]
  const pod = objects.find(({ kind }) => kind === 'Pod').spec
  const here = (value: string) =>
    value
      .replaceAll('/etc/multigate', etc)
      .replace(/^\/models$/, models)
      .replace(/^\/var\/cache\/multigate$/, join(folder, 'cache'))

  t.equal(server.command, undefined, "the image's own command")
  const variables = Object.fromEntries(server.env.map(({ name, value }: any) => [name, here(value)]))
  const serving = run(t, { ...variables, MULTIGATE_HOST: '127.0.0.1', MULTIGATE_PORT: '0', MULTIGATE_ADMIN_PORT: '0' })
  const port = await whenReady(serving)
  t.notMatch(serving.stdout(), /is not a setting/)

  const key = (await readFile(join(etc, 'test-key/key'), 'utf8')).trim()
  const [ca, cert, certKey] = await Promise.all(
    ['tls/ca.crt', 'client/tls.crt', 'client/tls.key'].map((file) => readFile(join(etc, file))),
  )
  const predict = (headers: Record<string, string>) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = request({
        port,
        host: '127.0.0.1',
        path: '/predict',
        method: 'POST',
        ca,
        cert,
        key: certKey,
        headers,
      })
      sent.once('error', reject).once('response', async (response) => {
        resolve({ status: response.statusCode!, body: await text(response) })
      })
      sent.end(
        JSON.stringify({
          model: 'ads-funnel',
          context: { country: 'DE', hour: 21, segment: 's17' },
          candidates: [{ campaign: 'c9', price: 1.25 }],
        }),
      )
    })
  const json = { 'content-type': 'application/json' }
  t.equal((await predict(json)).status, 401)
  const answer = await predict({ ...json, authorization: `Bearer ${key}` })
  t.equal(answer.status, 200, answer.body)
  t.match(JSON.parse(answer.body).predictions, [{ ctr: Number }])

  const call = (command: string[]) =>
    new Promise<{ status: number; output: string }>((resolve) => {
      const [, ...args] = command.map(here)
      const child = execFile(process.execPath, args, { cwd: root }, (_, stdout, stderr) =>
        resolve({ status: child.exitCode!, output: stdout + stderr }),
      )
    })
  const at = (argument: string) => argument.replace(/^(https:\/\/)[^/]+/, `$1127.0.0.1:${port}`)
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    const { command } = server[probe].exec
    t.equal((await call(command.map(at))).status, 0, probe)
    t.equal(
      (await call(command.map((argument: string) => at(argument).replace(/\/(livez|readyz)$/, '/none')))).status,
      1,
    )
  }

  const [{ command }] = pod.containers
  const verified = await call(command.map(at))
  t.equal(verified.status, 0, verified.output)
  t.match(verified.output, /^ads-funnel\/1: 8 golden rows answered correctly$/m)
  t.equal(verified.output.trim().split('\n').length, 6)

  const manifest = join(models, 'ads-funnel/1/manifest.json')
  const changed = JSON.parse(await readFile(manifest, 'utf8'))
  changed.golden.probabilities[3][0] += 0.01
  await writeFile(manifest, JSON.stringify(changed))
  const differs = await call(command.map(at))
  t.equal(differs.status, 1)
  t.match(differs.output, /manifest\.json: \/probabilities\/3\/0 is .*, but ads-funnel\/1 answers .* for ctr/)
  const withoutKey = await call(command.map(at).slice(0, 7))
  t.equal(withoutKey.status, 1, withoutKey.output)
})

t.test('models of a source: the first copy, then a sidecar that follows it', { skip }, async (t) => {
  const folder = await temporaryFolder(t)
  const [from, models] = [join(folder, 'from'), join(folder, 'models')]
  await cp(join(root, 'models'), from, { recursive: true })
  const index = () => runCli(['index', from])
  t.equal((await index()).code, 0)
  const web = createServer(async ({ url }, answer) => {
    const body = await readFile(join(from, decodeURIComponent(url!.slice('/production'.length)))).catch(() => undefined)
    answer.writeHead(body === undefined ? 404 : 200).end(body)
  }).listen(0, '127.0.0.1')
  await once(web, 'listening')
  t.teardown(() => web.close())
  const { port } = web.address() as AddressInfo

  const source = `http://127.0.0.1:${port}/production`
  const { objects } = await render(t, helm, { models: { source, sync: { intervalSeconds: 5 } } })
  const { initContainers } = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec
  const start = ({ command }: { command: string[] }) => {
    const [, ...args] = command.map((value) => value.replace(/^\/models$/, models).replace(/^9091$/, '0'))
    const child = spawn(process.execPath, args, { cwd: root })
    t.teardown(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => (output += chunk))
    return { child, output: () => output, ended: once(child, 'close') }
  }
  const [first, sidecar] = initContainers.map(({ name }: { name: string }) => name)
  t.same([first, sidecar], ['first-sync', 'sync'])
  const copy = start(initContainers[0])
  t.same((await copy.ended)[0], 0, copy.output())
  t.ok(existsSync(join(models, 'ads-funnel/1/manifest.json')))

  const following = start(initContainers[1])
  await until(() => /metrics are served/.test(following.output()))
  const [, address] = /"address":"http:\/\/[^:]+(:\d+)"/.exec(following.output())!
  t.equal((await fetch(`http://127.0.0.1${address}${initContainers[1].livenessProbe.httpGet.path}`)).status, 200)
  await cp(join(from, 'ads-funnel/1'), join(from, 'ads-funnel/2'), { recursive: true })
  await index()
  await until(() => existsSync(join(models, 'ads-funnel/2/manifest.json')))
})
