import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { RowError } from '../../../src/tools/evaluate/row-error.ts'
import { openServicePredictor } from '../../../src/tools/evaluate/service-predictor.ts'

const details = {
  name: 'm',
  version: '4',
  fields: [
    { name: 'colour', side: 'candidate', kind: 'vocabulary', encoding: { ids: [0, 3] } },
    { name: 'x', side: 'candidate', kind: 'numeric', encoding: {} },
  ],
  tasks: [{ name: 'ctr', gate: false }],
}

type Answer = (response: ServerResponse, body: Record<string, unknown>) => void

/** A predictor of a service that describes one model and answers predictions as told. */
async function open(t: Test, answer: Answer, version?: string) {
  const server = createServer(async (request: IncomingMessage, response) => {
    if (request.url === '/models/m') response.end(JSON.stringify(details))
    else if (request.url === '/models/m/versions/3') response.end(JSON.stringify({ ...details, version: '3' }))
    else answer(response, JSON.parse(await text(request)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  t.teardown(() => server.closeAllConnections())
  return openServicePredictor({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, 'm', version)
}

const rows = { colour: ['red', 'blue'], x: [1, null] }

t.test('asks by column, for a version, and knows what it asks', async (t) => {
  const bodies: object[] = []
  const predictor = await open(t, (response, body) => {
    bodies.push(body)
    response.end(
      JSON.stringify({ predictions: { ctr: [0.25, 0.5], raw: { ctr: [0.2, 0.4] }, unknown: [[], ['colour']] } }),
    )
  })
  t.match(predictor.model, { name: 'm', version: '4' })
  t.match(predictor.fields, [{ name: 'colour', ids: 4 }, { name: 'x' }])
  const answer = await predictor.predict(rows)
  t.same(answer.tasks, { ctr: [0.25, 0.5] })
  t.same(answer.raw, { ctr: [0.2, 0.4] })
  t.same(answer.unknown, [[], ['colour']])
  t.match(bodies, [{ model: 'm', version: '4', candidates: rows, options: { raw: true, unknown: true } }])
  const older = await open(
    t,
    (response, body) => {
      t.equal(body.version, '3')
      response.end(JSON.stringify({ predictions: { ctr: [0, 0] } }))
    },
    '3',
  )
  await older.predict(rows)
})

t.test('waits where the service is busy', async (t) => {
  let busy = 2
  const predictor = await open(t, (response) => {
    if (busy-- > 0) response.writeHead(busy ? 429 : 503, busy ? { 'retry-after': '0.01' } : {}).end()
    else response.end(JSON.stringify({ predictions: { ctr: [0, 1] } }))
  })
  t.same((await predictor.predict(rows)).tasks, { ctr: [0, 1] })
})

t.test("tells the service's own words, and which row it refuses", async (t) => {
  const problem = (errors: object[]) => JSON.stringify({ title: 'Bad', detail: 'The request is wrong', errors })
  const refused = await open(t, (response) =>
    response.writeHead(400).end(problem([{ path: '/candidates/x/1', message: 'is required' }])),
  )
  const error = await refused.predict(rows).catch((error) => error)
  t.ok(error instanceof RowError)
  t.match(error, { row: 1, message: 'x is required' })
  const wrong = await open(t, (response) =>
    response.writeHead(400).end(problem([{ path: '/model', message: 'is gone' }])),
  )
  await t.rejects(wrong.predict(rows), {
    code: 'MODEL_FAILED',
    message: /\/predict answers 400: The request is wrong; \/model is gone$/,
  })
  const broken = await open(t, (response) => response.writeHead(500).end('oh'))
  await t.rejects(broken.predict(rows), { message: /answers 500: oh$/ })
})

t.test('an answer of another shape is refused', async (t) => {
  for (const predictions of [{ ctr: [1] }, {}, { ctr: [null, 1] }]) {
    const predictor = await open(t, (response) => response.end(JSON.stringify({ predictions })))
    await t.rejects(predictor.predict(rows), {
      message: "The service's answer has no column of 2 numbers for ctr",
    })
  }
})

t.test('a service that is not there', async (t) => {
  await t.rejects(openServicePredictor({ url: 'http://127.0.0.1:1' }, 'm', undefined), {
    message: /http:\/\/127.0.0.1:1\/models\/m can't be reached/,
  })
})
