import t from 'tap'
import { createWorkerClient } from '../../src/model/engines/pool/worker-client.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { startTestServer } from '../support/server.ts'

/* Cheap models as users meet them: small requests are computed in the thread that answers, larger ones in workers. */

const models = await temporaryFolder(t)
await writeTestBundle(models)
const inWorkers = await startTestServer(t, { models })
let asked = 0
const here = await startTestServer(t, {
  models,
  callingThread: true,
  // Compiled, but no variant beside the full one.
  limits: { maxBatchRows: 8, compiler: { cache: undefined, candidateBytes: 0, now: Date.now } },
  pool: {
    createWorker(settings) {
      const client = createWorkerClient(settings)
      const { call } = client
      client.call = async (task) => {
        if (task.type === 'run' || task.type === 'run-shared') asked++
        // All of the time that a call takes is its hand-over.
        return task.type === 'measure' ? 0 : call(task)
      }
      return client
    },
  },
})

const body = (rows: number, seed: number) => ({
  context: { country: ['DE', 'FR', 'US'][seed % 3], hour: seed % 24 },
  candidates: Array.from({ length: rows }, (_, i) => ({
    campaign: `c${seed + i}`,
    price: seed + i / 4,
    id: `${seed}-${i}`,
  })),
  options: { raw: true },
})
const predictions = async (server: typeof here, asked: object) => {
  const { status, body } = await server.predict({ model: 'ads', ...asked })
  return [status, body.predictions]
}

/** Equal but for the last digits, which may depend on what is computed in the same call. */
function areNear(answer: unknown[], expected: unknown[]): boolean {
  type Rows = { id?: string; ctr: number; cvr: number }[]
  const [rows, others] = [answer[1] as Rows, expected[1] as Rows]
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6
  return (
    answer[0] === 200 &&
    rows.length === others.length &&
    rows.every(({ id, ctr, cvr }, i) => id === others[i]!.id && near(ctr, others[i]!.ctr) && near(cvr, others[i]!.cvr))
  )
}

t.test('small requests need no worker, large ones do, and are answered alike', async (t) => {
  const before = asked
  for (const rows of [1, 2])
    t.ok(areNear(await predictions(here, body(rows, rows)), await predictions(inWorkers, body(rows, rows))))
  t.equal(asked, before)
  t.ok(areNear(await predictions(here, body(9, 1)), await predictions(inWorkers, body(9, 1))))
  t.ok(asked > before)
})

t.test('many at a time are each answered their own', async (t) => {
  const bodies = Array.from({ length: 60 }, (_, i) => body(1 + (i % 12), i))
  const answers = await Promise.all(bodies.map((asked) => predictions(here, asked)))
  for (const [i, answer] of answers.entries()) t.ok(areNear(answer, await predictions(inWorkers, bodies[i]!)))
})

t.test('what is asked beside probabilities comes from a worker', async (t) => {
  const before = asked
  const detailed = { ...body(2, 5), options: { gates: true } }
  t.ok(areNear(await predictions(here, detailed), await predictions(inWorkers, detailed)))
  t.equal(asked, before + 1)
})

t.test('tensors of many bodies, read one after the other, are not mixed up', async (t) => {
  const tensors = (seed: number) => ({
    sparse: Array.from({ length: 1 + (seed % 5) }, () => [seed % 4, 4 + (seed % 24), 28 + (seed % 50)]),
    dense: Array.from({ length: 1 + (seed % 5) }, (_, i) => [seed / 7, i / 3]),
  })
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => predictions(here, tensors(i))))
  for (const [i, answer] of answers.entries()) t.ok(areNear(answer, await predictions(inWorkers, tensors(i))))
})
