import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { Entities, Entity } from '../../src/schemas/entities.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { importRows } from '../support/feature-table.ts'
import { startProcess } from '../support/process.ts'
import { serving } from '../support/processes.ts'
import { until } from '../support/until.ts'

/*
 * Rules, alerts and dashboards in deploy/, as Prometheus reads them.
 */

const root = join(import.meta.dirname, '../../..')
const rulesFolder = join(root, 'deploy/prometheus')
const installed = (tool: string) => spawnSync(tool, ['--version']).status === 0
const needsPromtool = { skip: installed('promtool') ? false : 'promtool is not installed' }
const needsPrometheus = { skip: installed('prometheus') ? false : 'Prometheus is not installed' }

const rulesOf = (file: string) =>
  parse(readFileSync(join(rulesFolder, file), 'utf8')) as { groups: { rules: Record<string, any>[] }[] }
const alerts = rulesOf('alerts.yaml').groups.flatMap(({ rules }) => rules)
const dashboards = readdirSync(join(root, 'deploy/grafana')).map((file) => ({
  file,
  text: readFileSync(join(root, 'deploy/grafana', file), 'utf8'),
}))

t.test('every alert has a case in which it fires and one in which it does not', needsPromtool, async (t) => {
  for (const args of [
    ['check', 'rules', 'rules.yaml', 'alerts.yaml'],
    ['test', 'rules', 'alerts.test.yaml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: rulesFolder, encoding: 'utf8' })
    t.equal(status, 0, `${stdout}${stderr}`)
  }
  const cases = (parse(readFileSync(join(rulesFolder, 'alerts.test.yaml'), 'utf8')).tests as { name: string }[]).map(
    ({ name }) => name,
  )
  t.same(cases.sort(), alerts.flatMap(({ alert }) => [`${alert} fires`, `${alert} does not fire`]).sort())
})

/**
 * Prometheus with the files of deploy/, of which only the time that alerts wait is shorter, scraping these ports by
 * name.
 */
async function startPrometheus(t: Test, targets: Record<string, { port: number; tls?: boolean }>) {
  const folder = await temporaryFolder(t)
  const quick = {
    groups: rulesOf('alerts.yaml').groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => (rule.for === undefined ? rule : { ...rule, for: '1s' })),
    })),
  }
  writeFileSync(join(folder, 'alerts.yaml'), stringify(quick))
  const scrape = ([instance, { port, tls }]: [string, { port: number; tls?: boolean }]) => ({
    targets: [`127.0.0.1:${port}`],
    labels: { instance, __scheme__: tls ? 'https' : 'http' },
  })
  writeFileSync(
    join(folder, 'prometheus.yml'),
    stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [join(rulesFolder, 'rules.yaml'), join(folder, 'alerts.yaml')],
      scrape_configs: [
        {
          job_name: 'multigate',
          tls_config: { insecure_skip_verify: true },
          static_configs: Object.entries(targets).map(scrape),
        },
      ],
    }),
  )
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      '--web.listen-address=127.0.0.1:0',
      '--log.level=info',
      '--enable-feature=exemplar-storage',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (log += text))
  const ended = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  // It listens before it answers.
  await until(() => /Listening on.*address=127\.0\.0\.1:\d+/.test(log) && log.includes('Server is ready'))
  const [, port] = /Listening on.*address=127\.0\.0\.1:(\d+)/.exec(log)!
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    const { status, data, error } = (await answer.json()) as any
    if (status !== 'success') throw new Error(`${path}: ${error}`)
    return data
  }
  return {
    query: async (expression: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> =>
      (await ask(`query?query=${encodeURIComponent(expression)}`)).result,
    exemplars: (metric: string): Promise<{ exemplars: { labels: Record<string, string>; value: string }[] }[]> =>
      ask(`query_exemplars?query=${metric}&start=${Date.now() / 1000 - 600}&end=${Date.now() / 1000 + 600}`),
  }
}

/** A folder on a file system without room; where none can be mounted, one that can't be written to. */
function fullDisk(t: Test, folder: string): string {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24k', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return '/dev/full'
  }
  t.teardown(() => execFileSync('umount', [folder]))
  return folder
}

/** Has the model in a folder read features from tables. */
function setEntities(models: string, entities: Entities): void {
  const file = join(models, 'ads-funnel/1/manifest.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), entities }))
}

const payload = (hour: number, more: object = {}) =>
  JSON.stringify({
    model: 'ads-funnel',
    context: { country: 'DE', hour, segment: 's17' },
    candidates: [{ campaign: 'c9', price: 1.25 }],
    ...more,
  })

const post = (port: number, body: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  }).then((answer) => answer.text())

t.test(
  'each fault fires exactly its alerts, and every panel of the dashboards has data',
  needsPrometheus,
  async (t) => {
    const folder = await temporaryFolder(t)
    const models = join(folder, 'models')
    mkdirSync(models)
    cpSync(join(root, 'models/ads-funnel'), join(models, 'ads-funnel'), { recursive: true })
    await importRows(models, 'ads', [{ id: 'ad-1', campaign: 'c9', price: 1.25 }])
    const broken = join(folder, 'broken')
    cpSync(models, broken, { recursive: true })
    const entity: Entity = {
      key: 'ad_id',
      side: 'candidate',
      table: 'ads',
      features: ['campaign', 'price'],
      unknown: 'leave_out',
    }
    setEntities(models, { ad: { ...entity, max_age_seconds: 86_400 } })
    // It is older than that already.
    setEntities(broken, { ad: { ...entity, max_age_seconds: 0.001 } })
    const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    const name = ['-subj', '/CN=localhost', '-days', '3']
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...name], {
      stdio: 'pipe',
    })

    const variables = { MULTIGATE_MODELS: models }
    const die = join(folder, 'die')
    const preload = fileURLToPath(new URL('../support/mortal-threads.js', import.meta.url))
    // One after the other: all at once would be slower.
    // No collector listens there: that is nobody's alert.
    const traces = {
      MULTIGATE_TRACES: 'http',
      MULTIGATE_TRACES_ENDPOINT: 'http://127.0.0.1:1',
      MULTIGATE_TRACES_SAMPLE: '1',
    }
    const log = { MULTIGATE_PREDICTION_LOG: await temporaryFolder(t) }
    const healthy = await startProcess(t, { ...variables, ...traces, ...log })
    const full = await startProcess(t, { ...variables, MULTIGATE_CACHE: fullDisk(t, await temporaryFolder(t)) })
    const overloaded = await startProcess(t, variables)
    const draining = await startProcess(t, { ...variables, MULTIGATE_DRAIN_DELAY_MS: '60000' })
    const failing = await startProcess(t, { MULTIGATE_MODELS: broken, MULTIGATE_POLL_SECONDS: '0.2' })
    const drifting = await startProcess(t, variables)
    const worker = await startProcess(t, { ...variables, NODE_OPTIONS: `--import=${preload}`, DIE: die })
    const several = await startProcess(t, { ...variables, MULTIGATE_PROCESSES: '2' }, 'all processes are ready')
    const expiring = await startProcess(t, { ...variables, MULTIGATE_TLS_CERT: cert, MULTIGATE_TLS_KEY: key })
    const gone = await startProcess(t, variables)
    const { query, exemplars } = await startPrometheus(t, {
      healthy,
      full,
      overloaded,
      draining,
      failing,
      drifting,
      worker,
      several,
      expiring: { port: expiring.port, tls: true },
      gone,
    })
    const up = await (async () => {
      let found = await query('up == 1')
      while (found.length < 10) found = await query('up == 1')
      return found
    })()
    t.equal(up.length, 10)

    // Traffic as in the test rows for all but one, whose hour and price never change.
    let going = true
    const traffic = (async () => {
      for (let i = 0; going; i++) {
        await post(
          healthy.port,
          payload(i % 24, { candidates: [{ campaign: i % 9 ? `c${i % 40}` : 'new', price: 0.2 + (i % 17) / 5 }] }),
        )
        await post(healthy.port, payload(i % 24, { candidates: ['ad-1', 'gone'] }))
        await post(drifting.port, payload(3))
        // No deadline can be met that is over.
        await post(overloaded.port, payload(i % 24), i % 2 === 0 ? { 'x-deadline-ms': '0.001' } : {})
      }
    })()
    draining.child.kill('SIGTERM')
    gone.child.kill('SIGKILL')
    cpSync(join(broken, 'ads-funnel/1'), join(broken, 'ads-funnel/2'), { recursive: true })
    writeFileSync(join(broken, 'ads-funnel/2/manifest.json'), '{')
    cpSync(join(broken, '.tables/ads/1'), join(broken, '.tables/ads/2'), { recursive: true })
    writeFileSync(join(broken, '.tables/ads/2/index.bin'), '')
    writeFileSync(die, '')
    process.kill(serving(several)[1]!, 'SIGKILL')

    const expected: Record<string, string[]> = {
      healthy: [],
      full: ['MultigateDiskFull'],
      overloaded: ['MultigateShedding'],
      draining: [],
      failing: [],
      drifting: [],
      worker: ['MultigateWorkerDied'],
      several: ['MultigateProcessDied'],
      expiring: ['MultigateCertificateExpires'],
      gone: ['MultigateDown'],
      // Alerts of all instances together.
      job: ['MultigateDrift', 'MultigateTableRefused', 'MultigateTableStale', 'MultigateVersionFailed'],
    }
    const firing = async () => {
      const found: Record<string, string[]> = Object.fromEntries(Object.keys(expected).map((name) => [name, []]))
      for (const { metric } of await query('ALERTS{alertstate="firing"}')) {
        const names = found[metric.instance ?? 'job']!
        // Drift fires for each field and task.
        if (!names.includes(metric.alertname!)) names.push(metric.alertname!)
      }
      return found
    }
    await until(async () => {
      const found = await firing()
      return Object.entries(expected).every(([name, alerts]) => alerts.every((alert) => found[name]!.includes(alert)))
    })
    // An alert that was slow to come, and should not have come, would be there now.
    const began = performance.now()
    await until(() => performance.now() - began > 5000)
    const found = await firing()
    for (const [name, alerts] of Object.entries(expected)) t.same(found[name]!.sort(), alerts, name)

    for (const { file, text } of dashboards)
      for (const { title, targets } of JSON.parse(text).panels)
        for (const { expr } of targets) {
          const plain = expr.replaceAll('$__rate_interval', '1m').replaceAll(/"\$\w+"/g, '".*"')
          t.ok((await query(plain)).length > 0, `${file}: ${title}: ${plain}`)
        }
    const [first] = await exemplars('multigate_request_duration_seconds_bucket')
    t.match(first?.exemplars[0]?.labels.trace_id, /^[0-9a-f]{32}$/, 'Prometheus reads the exemplars')
    going = false
    await traffic
  },
)
