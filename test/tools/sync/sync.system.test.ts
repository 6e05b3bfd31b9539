import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../../loadtest/free-port.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { startProcess } from '../../support/process.ts'
import { filesOf, index, modelsFolder, sameFiles, sync } from '../../support/sync.ts'
import { until } from '../../support/until.ts'

/*
 * The real `multigate sync` against a web server that others wrote; sync.platform.test.ts has the other stores.
 */

const needsPython = { skip: spawnSync('python3', ['--version']).status === 0 ? false : 'Python 3 is not installed' }

t.test(
  'a server follows a plain web server through a new version, damage, an outage and a restart',
  needsPython,
  async (t) => {
    const from = await modelsFolder(t)
    const to = join(await temporaryFolder(t), 'models')
    t.match(
      (await spawnCli(['index', from])).stdout,
      /\.tables\/index\.json: 1 tables, 1 versions, 0\.0 MB\n\S+\/index\.json: 1 models, 1 versions, \d+\.\d MB\n$/,
    )
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
    t.match(first.output(), /"table":"users","version":"1","msg":"version copied"/)
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
