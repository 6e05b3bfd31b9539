import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { LoadRuns } from '../../../src/tools/capacity/load-runs.ts'
import type { MeasuredServer, Usage } from '../../../src/tools/capacity/measured-server.ts'
import type { PredictRequests } from '../../../src/tools/load/predict-requests.ts'

const none = {
  processorSeconds: 0,
  eventLoopSeconds: 0,
  calls: 0,
  callRequests: 0,
  cacheHits: 0,
  cacheMisses: 0,
  cacheBytes: 0,
  cacheEntries: 0,
}

t.test('a server that stalls for longer than a second has failed no request', async (t) => {
  let stall = 0
  const server = createServer((_, response) => {
    setTimeout(() => response.end('{}'), stall)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const usage = async (): Promise<Usage> => ({ ...none, at: performance.now() })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const measured: MeasuredServer = { url, usage, stop: async () => {} }
  const request = Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const requests: PredictRequests = { requests: [request], meanBytes: request.length, refresh() {} }
  const { signal } = new AbortController()
  const { result } = await LoadRuns.within(measured, requests, { seconds: 0.04, signal }, (runs) => {
    stall = 1500
    return runs.open(200, 0.1)
  })
  t.ok(result.scheduled > 5)
  t.equal(result.good, result.scheduled)
})
