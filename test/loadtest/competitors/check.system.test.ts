import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { checkAnswers, largestDifference } from '../../../loadtest/competitors/check.ts'
import { referenceModels } from '../../../loadtest/competitors/models.ts'
import { createQueries } from '../../../loadtest/competitors/queries.ts'
import { type RunningServer, servers } from '../../../loadtest/competitors/servers.ts'

const model = referenceModels.small
const draw = createQueries(model, 'new', 1)
const queries = [draw(1), draw(3)]
const right = async ({ rows }: { rows: number }) => new Float32Array(rows * 2).fill(0.25)

async function serve(t: Tap.Test, status: number, row: number[]): Promise<RunningServer> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const probabilities = JSON.parse(body).sparse.map(() => row)
    response.writeHead(status).end(JSON.stringify({ probabilities }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  return { base: new URL(`http://127.0.0.1:${port}`), group: 0, stop: async () => {} }
}

declare namespace Tap {
  type Test = { teardown(callback: () => unknown): void }
}

const check = (server: RunningServer) => checkAnswers(server, servers.fastify, 'tensors', model, queries, right)

t.test('right answers pass, and tell how near they are', async (t) => {
  const difference = await check(await serve(t, 200, [0.25, 0.250_01]))
  t.ok(difference > 0 && difference < 1e-4)
})

t.test('wrong answers, none, or too few are refused', async (t) => {
  await t.rejects(check(await serve(t, 200, [0.25, 0.251])), /answers differ by 0\.00/)
  await t.rejects(check(await serve(t, 200, [0.25])), /answers 1 probabilities, not 2/)
  await t.rejects(check(await serve(t, 503, [0.25, 0.25])), /answers 503/)
})

t.test('what is no number differs from everything', async (t) => {
  t.equal(largestDifference([0.5, Number.NaN], [0.5, 0.5]), Number.POSITIVE_INFINITY)
})
