import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { TrainSpec } from '../../src/schemas/train-spec.ts'
import type { Dataset } from '../../src/train/dataset.ts'
import { predictRemotely, type RemoteOptions } from '../../src/train/remote.ts'

const spec = {
  tasks: [{ name: 'ctr' }],
  derived: [{ name: 'twice', product: ['ctr', 'ctr'] }],
  fields: [{ name: 'x' }, { name: 'colour' }],
} as TrainSpec

const rows = 1234
const dataset = {
  cells: [Array.from({ length: rows }, (_, i) => (i === 7 ? null : i)), Array.from({ length: rows }, () => 'red')],
  parts: { test: Int32Array.from({ length: rows }, (_, i) => rows - 1 - i) },
} as unknown as Dataset

type Answer = (body: { candidates: { x: (number | null)[] }; [key: string]: unknown }, response: ServerResponse) => void

async function ask(
  t: Pick<typeof import('tap').default, 'teardown'>,
  answer: Answer,
  options: Partial<RemoteOptions> = {},
) {
  const server = createServer(async (request: IncomingMessage, response) => {
    if (request.url !== '/predict' || request.method !== 'POST') response.writeHead(404).end()
    else answer(JSON.parse(await text(request)), response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return predictRemotely(spec, dataset, {
    url,
    model: 'm',
    fetch,
    sleep: async () => {},
    signal: new AbortController().signal,
    ...options,
  })
}

const good: Answer = ({ candidates }, response) => {
  const ctr = candidates.x.map((x) => (x ?? 0) / rows)
  response.end(JSON.stringify({ predictions: { ctr, twice: ctr.map((p) => p * p) } }))
}

t.test('asks for every test row, by column, in order', async (t) => {
  const bodies: Record<string, unknown>[] = []
  const predictions = await ask(t, (body, response) => {
    bodies.push(body)
    good(body, response)
  })
  const expected = Array.from(dataset.parts.test, (row) => (row === 7 ? 0 : row / rows))
  t.same([...(predictions.ctr as Float64Array)], expected)
  t.same(
    [...(predictions.twice as Float64Array)],
    expected.map((p) => p * p),
  )
  t.equal(bodies.length, 3)
  t.match(bodies[0], { model: 'm', tasks: ['ctr', 'twice'], candidates: { colour: Array(500).fill('red') } })
  t.notOk('version' in bodies[0]!)
})

t.test('waits where the service is busy, a version is passed on', async (t) => {
  const waits: number[] = []
  let busy = 2
  const answer: Answer = (body, response) => {
    t.equal(body.version, '3')
    if (busy-- > 0) response.writeHead(busy ? 429 : 503, busy ? { 'retry-after': '2' } : {}).end()
    else good(body, response)
  }
  await ask(t, answer, { version: '3', sleep: async (milliseconds) => waits.push(milliseconds) })
  t.same(waits.sort(), [100, 2000])
  await t.rejects(
    ask(t, (_, response) => response.writeHead(429).end('busy'), {}),
    { message: /answered 429: busy/ },
  )
})

t.test("tells the service's own words", async (t) => {
  const problem = {
    title: 'Bad',
    detail: 'The request is wrong',
    errors: [{ path: '/candidates/x', message: 'is unknown' }],
  }
  await t.rejects(
    ask(t, (_, response) => response.writeHead(400).end(JSON.stringify(problem))),
    { message: /\/predict answered 400: The request is wrong; \/candidates\/x is unknown/ },
  )
  await t.rejects(
    ask(t, (_, response) => response.writeHead(500).end('{}')),
    { message: /answered 500: \{\}/ },
  )
})

t.test('an answer of another shape is refused', async (t) => {
  await t.rejects(
    ask(t, (_, response) => response.end('{"predictions":{"ctr":[1]}}')),
    { message: "The service's answer has no column of 500 numbers for ctr" },
  )
  await t.rejects(
    ask(t, (_, response) => response.end('{}')),
    { message: /no column/ },
  )
})

t.test('a service that is not there', async (t) => {
  await t.rejects(ask(t, good, { url: 'http://127.0.0.1:1' }), {
    message: /http:\/\/127.0.0.1:1\/predict can't be reached/,
  })
})
