import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { surviveAcceptErrors } from '../server/overload/connections.ts'
import type { Log } from './load-options.ts'

/** Serves /metrics and /livez of a command that runs beside a server. Rejects where the port can't be listened on. */
export async function serveMetrics(registry: Registry, port: number, host: string, log: Log): Promise<Server> {
  const server = createServer(async ({ url }, answer) => {
    if (url === '/livez') answer.end('ok\n')
    else if (url === '/metrics') answer.setHeader('content-type', registry.contentType).end(await registry.metrics())
    else answer.writeHead(404).end('known are /metrics and /livez\n')
  })
  server.listen(port, host)
  await once(server, 'listening')
  surviveAcceptErrors(server, log, () => performance.now())
  log.info({ address: `http://${host}:${(server.address() as AddressInfo).port}` }, 'metrics are served')
  return server
}
