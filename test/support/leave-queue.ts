import { type AddressInfo, connect } from 'node:net'
import type { TestServer } from './server.ts'
import { until } from './until.ts'

/** A client that writes a request of so many rows to the model `ads`, and goes away while these wait. */
export async function leaveQueue(
  { fastify, registry }: Pick<TestServer, 'fastify' | 'registry'>,
  request: readonly (string | Buffer)[],
  rows: number,
): Promise<void> {
  const { port } = fastify.server.address() as AddressInfo
  const client = connect(port, '127.0.0.1')
  for (const part of request) client.write(part)
  const { model, release } = registry.acquire('ads')
  release()
  await until(() => model.stats().queuedRows === rows)
  client.destroy()
  await until(() => model.stats().queuedRows === 0)
}
