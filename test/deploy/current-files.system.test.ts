import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { chart } from '../support/helm.ts'

/*
 * The agreement of files in deploy/ with other files; the *.platform tests have the tools that read them.
 */

const root = join(import.meta.dirname, '../../..')

t.test('the schema, the versions and the copied files of the chart are current', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/chart-files.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.match(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')), { version, appVersion: version })
})

t.test('the dashboards are what their script writes', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/dashboards.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
})

t.test('every alert has its section in the runbook, and no section is left over', async (t) => {
  const groups = parse(readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8')).groups
  const alerts: any[] = groups.flatMap(({ rules }: any) => rules)
  const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8')
  const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
  t.same(sections.sort(), alerts.map(({ alert }) => alert).sort())
  for (const { alert, annotations } of alerts) t.equal(annotations.runbook, `docs/runbook.md#${alert.toLowerCase()}`)
})

t.test("compose's Prometheus reads its configuration, and Grafana its dashboards", async (t) => {
  const compose = (path: string) => readFileSync(join(root, 'deploy/compose', path), 'utf8')
  const { environment } = parse(compose('compose.yaml')).services.multigate
  const scraped = parse(compose('prometheus.yaml')).scrape_configs
  t.match(scraped, [
    { job_name: 'multigate', static_configs: [{ targets: [`multigate:${environment.MULTIGATE_ADMIN_PORT}`] }] },
  ])
  const { options } = parse(compose('grafana/provisioning/dashboards/multigate.yaml')).providers[0]
  t.ok(parse(compose('compose.yaml')).services.grafana.volumes.includes(`../grafana:${options.path}:ro`))
})
