import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { startProcess } from '../support/process.ts'
import { onTerminal, skipWithoutTerminal as skip } from '../support/pseudo-terminal.ts'
import { until } from '../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
const url = `http://127.0.0.1:${port}`
const cli = join(import.meta.dirname, '../../src/cli.js')

t.test('on a terminal it redraws in place, fits it, and leaves it as it was', { skip }, async (t) => {
  const { text, type, ended } = onTerminal(t, [process.execPath, cli, 'top', '--url', url])
  await until(() => text().includes('Requests'))
  await until(() => text().split('\u001b[H').length > 3)
  t.ok(text().startsWith('\u001b[?1049h'))
  const frame = text().split('\u001b[H').at(-1)!
  t.ok(frame.split('\r\n').length <= 30, 'as many lines as the terminal has')
  type('q')
  t.equal(await ended, 0)
  t.ok(text().trimEnd().endsWith('\u001b[?1049l'))
})

t.test('without a terminal it prints the figures once, as text or JSON', async (t) => {
  const once = await runCli(['top', '--url', url])
  t.match(once, { code: 0, stdout: /Requests +0\/s[\s\S]*Process/ })
  t.notOk(once.stdout.includes('\u001b'))
  const json = await runCli(['top', '--url', url, '--json', '--once'])
  t.match(JSON.parse(json.stdout), { seconds: Number, processes: [{ pid: Number }] })
  t.equal(json.stdout.split('\n').length, 2)
})

t.test('a service that is not there, and wrong usage', async (t) => {
  t.match(await runCli(['top', '--url', 'http://127.0.0.1:1', '--once']), { code: 1, stderr: /can't be asked/ })
  t.match(await runCli(['top', '--url', 'nonsense']), { code: 2, stderr: /http or https URL/ })
  t.match(await runCli(['top', '--url', url, '--key-file', '/nowhere']), { code: 1, stderr: /nowhere/ })
})
