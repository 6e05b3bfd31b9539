import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { followLive, type LiveEvent } from '../../src/top/follow-live.ts'

/** A service that answers one request after the other in these ways, and how often it was asked. */
async function serve(t: Test, ...answers: ((response: ServerResponse, key: string | undefined) => void)[]) {
  let asked = 0
  const server = createServer((request, response) => answers[asked++]?.(response, request.headers.authorization))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close() && server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`
}

const sample = (at: number) => `event: sample\ndata: {"fine":[{"at":${at}}],"coarse":[],"models":[],"processes":[]}\n\n`

async function follow(url: string, most: number, key?: string) {
  const controller = new AbortController()
  const events: LiveEvent[] = []
  const pauses: number[] = []
  const pause = async (ms: number) => pauses.push(ms)
  for await (const event of followLive({ url, key, signal: controller.signal, pause })) {
    events.push(event)
    if (events.length === most) controller.abort()
  }
  const seen = events.map((event) => ('update' in event ? event.update.fine[0]!.at : 'lost'))
  return { seen, pauses }
}

t.test('it follows the stream, and comes back when the service does', async (t) => {
  const url = await serve(
    t,
    (response) => {
      response.write('event: history\ndata: {"fine":[],"coarse":[]}\n\n')
      // In pieces, as networks do.
      for (const piece of [sample(1).slice(0, 20), sample(1).slice(20), ': nothing new\n\n']) response.write(piece)
      response.end('event: bye\ndata: {}\n\n')
    },
    (response) => response.destroy(),
    (response) => response.writeHead(503).end('{"detail":"shutting down"}'),
    (response) => response.write(sample(2)),
  )
  const { seen, pauses } = await follow(url, 5)
  t.same(seen, [1, 'lost', 'lost', 'lost', 2])
  t.same(pauses, [500, 1000, 2000], 'it waits longer each time')
})

t.test('a key is sent; where the service refuses, the error says what to do', async (t) => {
  const keys: (string | undefined)[] = []
  const refuse = (status: number) => (response: ServerResponse, key: string | undefined) => {
    keys.push(key)
    response.writeHead(status).end('{"detail":"no"}')
  }
  const url = await serve(t, refuse(401), refuse(403), refuse(404))
  await t.rejects(follow(url, 1), /--key-file or MULTIGATE_KEY/)
  await t.rejects(follow(url, 1, 'k1'), /does not show its figures with this key: no/)
  await t.rejects(follow(url, 1, 'k1'), /MULTIGATE_CONSOLE/)
  t.same(keys, [undefined, 'Bearer k1', 'Bearer k1'])
})
