import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startGroup } from '../../loadtest/children.ts'
import { until } from '../support/until.ts'

const patience = 20_000

t.test('a group ends with all processes that it started, even those that do not want to', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'pids')
  const stubborn = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`
  const leader = `const { pid } = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}])
    require('node:fs').writeFileSync(${JSON.stringify(file)}, String(pid)); setInterval(() => {}, 1000)`
  const read = () => readFile(file, 'utf8').catch(() => '')
  const group = await startGroup({
    command: process.execPath,
    args: ['-e', leader],
    env: process.env,
    folder,
    ready: async () => (await read()) !== '',
    patience,
  })
  const child = Number(await read())
  t.ok(alive(group.leader) && alive(child))
  await group.stop()
  // A killed process stays until its new parent has taken notice.
  const state = () => readFile(`/proc/${child}/stat`, 'latin1').catch(() => ') Z')
  await until(async () => !alive(child) || (await state()).includes(') Z'))
  t.notOk(alive(group.leader))
})

t.test('one that ends early says why', async (t) => {
  const start = (command: string, args: string[]) =>
    startGroup({ command, args, env: process.env, folder: '.', ready: async () => false, patience })
  await t.rejects(start(process.execPath, ['-e', 'console.error("no model"); process.exit(3)']), {
    message: /ended with 3:\nno model/,
  })
  await t.rejects(start('/nothing/here', []), { message: /ENOENT/ })
})

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
