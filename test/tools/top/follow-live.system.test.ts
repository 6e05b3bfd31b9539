import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { followLive, type LiveEvent } from '../../../src/tools/top/follow-live.ts'
import { liveSample } from '../../support/live-sample.ts'

/** A service that answers one request after the other in these ways, and how often it was asked. */
async function serve(t: Test, ...answers: ((response: ServerResponse, key: string | undefined) => void)[]) {
  let asked = 0
  const server = createServer((request, response) => answers[asked++]?.(response, request.headers.authorization))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close() && server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`
}

const event = (data: string) => `event: sample\ndata: ${data}\n\n`
const sample = (at: number) =>
  event(JSON.stringify({ fine: [{ ...liveSample, at }], coarse: [], models: [], processes: [] }))
const stream = { 'content-type': 'text/event-stream; charset=utf-8' }

async function follow(url: string, most: number, key?: string) {
  const controller = new AbortController()
  const events: LiveEvent[] = []
  const pauses: number[] = []
  const pause = async (ms: number) => pauses.push(ms)
  for await (const event of followLive({ url, key, signal: controller.signal, pause })) {
    events.push(event)
    if (events.length === most) controller.abort()
  }
  const seen = events.map((event) => ('update' in event ? event.update.fine[0]!.at : Object.keys(event)[0]))
  return { seen, pauses, events }
}

t.test('it follows the stream, and comes back when the service does', async (t) => {
  const url = await serve(
    t,
    (response) => {
      response.writeHead(200, stream).write('event: history\ndata: {"fine":[],"coarse":[]}\n\n')
      // In pieces, as networks do.
      for (const piece of [sample(1).slice(0, 20), sample(1).slice(20), ': nothing new\n\n']) response.write(piece)
      response.end('event: bye\ndata: {}\n\n')
    },
    (response) => response.destroy(),
    (response) => response.writeHead(503).end('{"detail":"shutting down"}'),
    (response) => response.writeHead(200, stream).write(sample(2)),
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

t.test('a user and a password of the address are sent, and are in no message; nor is a key', async (t) => {
  const keys: (string | undefined)[] = []
  const url = await serve(t, (response, key) => {
    keys.push(key)
    response.writeHead(404).end('nothing')
  })
  const { host } = new URL(url)
  await t.rejects(follow(url.replace('//', '//me:secret@'), 1), {
    message: `http://${host}/prefix/console/live is not there: http://${host} is no multigate server, or not at this path`,
  })
  t.same(keys, [`Basic ${Buffer.from('me:secret').toString('base64')}`])
  await t.rejects(follow(url, 1, 'se\ncret'), { message: 'the key has characters that no header can have' })
})

t.test('figures that can not be read are reported, and the stream is followed on', async (t) => {
  const part = { fine: [], models: [], processes: [] }
  const wrong: [data: string, reason: RegExp][] = [
    ['{"fine": [', /JSON/],
    ['null', /^the event must be an object$/],
    ['{}', /^\/fine is required$/],
    [JSON.stringify({ ...part, fine: [{ ...liveSample, requests: '1' }] }), /^\/fine\/0\/requests must be a number$/],
    [JSON.stringify({ ...part, fine: [{ ...liveSample, stages: { total: {} } }] }), /^\/fine\/0\/stages/],
    [JSON.stringify({ ...part, models: [{ model: '\u001b[2J' }] }), /^\/models\/0\/version is required$/],
    [JSON.stringify({ ...part, processes: 7 }), /^\/processes must be an array$/],
  ]
  const url = await serve(t, (response) => {
    response.writeHead(200, stream)
    for (const [data] of wrong) response.write(event(data))
    response.write(sample(3))
  })
  const { events, seen, pauses } = await follow(url, wrong.length + 1)
  for (const [i, [data, reason]] of wrong.entries()) t.match(events[i], { unreadable: reason }, data)
  t.equal(seen.at(-1), 3)
  t.same(pauses, [], 'on the same connection')
})

t.test('a server that is no multigate ends it', async (t) => {
  for (const [answer, message] of [
    [
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>It works</h1>'),
      /no multigate server, or a proxy/,
    ],
    [(response) => response.writeHead(404).end('Not found'), /is not there: http:\S+ is no multigate server/],
    [(response) => response.writeHead(405).end(), /is no multigate server: status 405/],
    [(response) => response.socket!.end('220 mail ready\r\n'), /is no multigate server: its answers are not HTTP/],
  ] as [(response: ServerResponse) => void, RegExp][])
    await t.rejects(follow(await serve(t, answer), 1), message)
})
