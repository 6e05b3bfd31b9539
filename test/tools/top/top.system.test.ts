import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { cli } from '../../support/entries.ts'
import { liveSample } from '../../support/live-sample.ts'
import { startProcess } from '../../support/process.ts'
import { onTerminal, skipWithoutTerminal as skip } from '../../support/pseudo-terminal.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { port } = await startProcess(t, { MULTIGATE_MODELS: models })
const url = `http://127.0.0.1:${port}`

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
  const once = await spawnCli(['top', '--url', url])
  t.match(once, { code: 0, stdout: /Requests +0\/s[\s\S]*Process/ })
  t.notOk(once.stdout.includes('\u001b'))
  const json = await runCli(['top', '--url', url, '--json', '--once'])
  t.match(JSON.parse(json.stdout), { seconds: Number, processes: [{ pid: Number }] })
  t.equal(json.stdout.split('\n').length, 2)
})

t.test('a service that sends something else', { skip }, async (t) => {
  let asked = 0
  const part = { fine: [liveSample], models: [], processes: [] }
  const server = createServer((request, response) => {
    if (request.url !== '/console/live') return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('event: sample\ndata: {"fine":[{}]}\n\n')
    if (asked++ > 0) setTimeout(() => response.write(`event: sample\ndata: ${JSON.stringify(part)}\n\n`), 100)
    return response
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close() && server.closeAllConnections())
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await runCli(['top', '--url', at, '--once']), {
    code: 1,
    stderr: /^[^\n]*sends figures that can't be read: [^\n]*\n$/,
  })
  t.match(await runCli(['top', '--url', `${at}/x`]), { code: 1, stderr: /^[^\n]*is no multigate server[^\n]*\n$/ })
  const { text, type, ended } = onTerminal(t, [process.execPath, cli, 'top', '--url', at])
  await until(() => text().includes("The service sent figures that can't be read"))
  await until(() => text().includes('Requests    200/s'))
  type('q')
  t.equal(await ended, 0)
})

t.test('a service that is not there, and wrong usage', async (t) => {
  t.match(await runCli(['top', '--url', 'http://127.0.0.1:1', '--once']), { code: 1, stderr: /can't be asked/ })
  t.match(await runCli(['top', '--url', 'nonsense']), { code: 2, stderr: /http or https URL/ })
  t.match(await runCli(['top', '--url', url, '--key-file', '/nowhere']), { code: 1, stderr: /nowhere/ })
})
