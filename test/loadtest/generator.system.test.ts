import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { generate } from '../../loadtest/generator.ts'
import { writeRequests } from '../../loadtest/request-file.ts'

t.test('the generator sends every request of its schedule, and a lone one afterwards', async (t) => {
  const deadlines = new Set<unknown>()
  let requests = 0
  const server = createServer((request, response) => {
    deadlines.add(request.headers['x-deadline-ms'])
    request.resume().on('end', () => {
      response.writeHead(requests++ % 2 ? 429 : 200, { 'content-length': 2 }).end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const file = join(t.testdir(), 'requests')
  await writeRequests(file, [{ headers: {}, body: Buffer.from('{"a":1}') }])
  const result = await generate({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/predict`,
    headers: { 'x-deadline-ms': '60000' },
    file,
    start: 0,
    rate: 500,
    seconds: 0.2,
    seed: 1,
    deadlineMs: 60_000,
    graceMs: 20_000,
    connections: 4,
  })
  t.ok(result.scheduled > 50)
  t.equal(result.good + result.rejected + result.noConnection, result.scheduled)
  t.ok(result.good > 0 && result.rejected > 0)
  t.ok(result.lone.status === 200 || result.lone.status === 429)
  t.equal(requests, result.good + result.rejected + 1)
  t.same([...deadlines], ['60000'])
})
