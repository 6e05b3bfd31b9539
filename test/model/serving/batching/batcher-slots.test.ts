import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { Batcher } from '../../../../src/model/serving/batching/batcher.ts'
import { FairShare } from '../../../../src/model/serving/batching/fair-share.ts'
import type { BatcherOptions, BatchRequest } from '../../../../src/model/serving/batching/submission.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'
import { batchOf, compute, createManualEngine } from '../../../support/fakes/engine.ts'

/* The order in which requests go, and the number of slots that they go to. */

function setUp(slots: number, options: Partial<BatcherOptions> = {}, ahead = 0) {
  const clock = createFakeClock()
  const engine = createManualEngine()
  const share = new FairShare(slots, ahead)
  const create = () =>
    new Batcher({
      maxBatchRows: 100,
      maxDelayMs: 0,
      maxQueueRows: 1000,
      share,
      execute: engine.execute,
      clock,
      ...options,
    })
  let nextId = 1
  /** A request of so many rows, all different from any other's. */
  const request = (rows: number, deadlineMs = 10_000, wanted = ['sum']): BatchRequest => ({
    batch: batchOf(Array.from({ length: rows }, () => [nextId++, 0.5] as const)),
    wanted,
    deadline: clock.now() + deadlineMs,
  })
  const rows = () => engine.calls.map(({ batch }) => batch.rows)
  return { clock, engine, share, batcher: create(), create, request, rows }
}

const answerTo = ({ batch, wanted }: BatchRequest) => compute(batch, wanted)

t.test('the earliest deadline goes first, and at the same one who came first', async (t) => {
  const { clock, engine, batcher, request } = setUp(1, { maxBatchRows: 2 })
  batcher.submit(request(1))
  await clock.flush()
  const asked = [300, 100, 200, 100, 500].map((deadlineMs) => request(2, deadlineMs))
  const answers = asked.map((request) => batcher.submit(request).outputs)
  const order: unknown[] = []
  for (let i = 0; i < 6; i++) {
    order.push(engine.calls[0]!.batch)
    engine.calls[0]!.finish()
    await clock.flush()
  }
  t.same(
    order.slice(1).map((batch) => asked.findIndex((request) => request.batch === batch)),
    [1, 3, 2, 0, 4],
  )
  t.same(await Promise.all(answers), asked.map(answerTo))
})

t.test('what is urgent overtakes a large request that has begun', async (t) => {
  const { clock, engine, batcher, request } = setUp(1, { maxBatchRows: 4 })
  const large = request(10, 1000)
  const urgent = request(3, 100)
  const answers = [batcher.submit(large).outputs]
  await clock.flush()
  answers.push(batcher.submit(urgent).outputs)
  const sizes: number[] = []
  for (let i = 0; i < 4; i++) {
    sizes.push(engine.calls[0]!.batch.rows)
    engine.calls[0]!.finish()
    await clock.flush()
  }
  t.same(sizes, [4, 3, 4, 2])
  t.same(await Promise.all(answers), [answerTo(large), answerTo(urgent)])
})

t.test('a large request is cut for idle slots if its rows are what it costs', async (t) => {
  const { clock, engine, batcher, request, rows } = setUp(3)
  for (const rows of [1, 10, 100]) batcher.seed(rows, 1, rows * 0.0001)
  const asked = request(90, 1000, ['pair', 'difference'])
  const { outputs } = batcher.submit(asked)
  await clock.flush()
  t.same(rows(), [30, 30, 30])
  // In any order.
  for (const call of [2, 0, 0]) engine.calls[call]!.finish()
  t.same(await outputs, answerTo(asked))
})

t.test('a large batch leaves rows for the other slots', async (t) => {
  const { clock, engine, batcher, request, rows } = setUp(2, { maxBatchRows: 512, maxQueueRows: 10_000 })
  const submit = (count: number) => Array.from({ length: count }, () => batcher.submit(request(30)).outputs)
  // 2 calls of 30 rows, and 900 rows in the queue: half of a slot's share are 240 rows.
  const answers = [...submit(1)]
  await clock.flush()
  answers.push(...submit(1))
  await clock.flush()
  answers.push(...submit(30))
  await clock.flush()
  t.same(rows(), [30, 30])
  engine.calls[0]!.finish()
  await clock.flush()
  t.same(rows(), [30, 240], 'as many requests as 256 rows hold')
  answers.push(...submit(50))
  engine.calls[0]!.finish()
  await clock.flush()
  t.same(rows(), [240, 510], 'with more rows waiting, as many as a batch holds')
  while (engine.calls.length > 0) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  t.equal((await Promise.all(answers)).length, 82)
})

t.test('it stays whole where each call costs the same, or too little, or is not known', async (t) => {
  for (const seconds of [() => 0.01, (rows: number) => rows * 1e-6, undefined]) {
    const { clock, batcher, request, rows } = setUp(3)
    if (seconds) for (const rows of [1, 10, 100]) batcher.seed(rows, 1, seconds(rows))
    batcher.submit(request(90))
    await clock.flush()
    t.same(rows(), [90])
  }
})

t.test('it is cut over the slots that are idle alone', async (t) => {
  const { clock, batcher, create, request, rows } = setUp(3)
  for (const rows of [1, 10, 100]) batcher.seed(rows, 1, rows * 0.0001)
  create().submit(request(7))
  await clock.flush()
  batcher.submit(request(90))
  await clock.flush()
  t.same(rows(), [7, 45, 45])
})

t.test('a busy slot gets its next call ahead of time, where more rows would make it no cheaper a row', async (t) => {
  const waits: number[] = []
  const computed: number[][] = []
  const observer: BatcherOptions['observer'] = {
    waited: (seconds) => waits.push(seconds),
    computed: (rows, seconds) => computed.push([rows, seconds]),
  }
  const { clock, engine, share, batcher, request, rows } = setUp(1, { maxBatchRows: 50, observer }, 1)
  for (const [rows, requests] of [
    [1, 1],
    [10, 5],
    [50, 1],
    [50, 10],
  ] as const)
    batcher.seed(rows, requests, 0.001 + rows * 0.0001)
  const submit = async (rows: number) => {
    const { outputs } = batcher.submit(request(rows))
    await clock.flush()
    return outputs
  }
  const first = submit(1)
  await clock.flush()
  const others = [submit(5)]
  await clock.flush()
  t.same(rows(), [1], 'two thirds of it would be overhead')
  others.push(submit(40))
  await clock.flush()
  t.same(rows(), [1, 45], 'a fifth')
  t.equal(share.free, 0)
  others.push(submit(50))
  await clock.flush()
  t.same(rows(), [1, 45], 'one ahead is enough')
  const { inFlightBatches, queuedRows, predictedWaitSeconds } = batcher.stats()
  t.same([inFlightBatches, queuedRows], [2, 50])
  t.ok(Math.abs(predictedWaitSeconds - (0.0011 + 0.0055 + 0.006)) < 1e-4, `${predictedWaitSeconds}`)
  t.same(waits, [0], 'what is handed over ahead still waits')
  clock.pass(1)
  engine.calls[0]!.finish()
  engine.calls[0]!.listener?.begun?.()
  await first
  t.same(waits, [0, 0.001, 0.001])
  t.same(computed, [[1, 0.001]])
  t.same(rows(), [45, 50], 'and the next')
  clock.pass(6)
  engine.calls[0]!.listener?.took?.(0.005)
  engine.calls[0]!.finish()
  await clock.flush()
  t.same(computed[1], [45, 0.005], 'what the engine says')
  clock.pass(4)
  engine.calls[0]!.finish()
  await Promise.all(others)
  t.equal(share.free, 1)
  t.equal(waits.length, 4)
})

t.test('a full call goes ahead whatever its overhead: it gets no fuller', async (t) => {
  const { clock, engine, batcher, request, rows } = setUp(1, { maxBatchRows: 50 }, 1)
  for (const rows of [1, 10, 50]) batcher.seed(rows, 1, 0.01 + rows * 1e-6)
  const answers = [batcher.submit(request(1)).outputs]
  await clock.flush()
  answers.push(batcher.submit(request(49)).outputs)
  await clock.flush()
  t.same(rows(), [1])
  answers.push(batcher.submit(request(1)).outputs)
  await clock.flush()
  t.same(rows(), [1, 50])
  for (let i = 0; i < 2; i++) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  await Promise.all(answers)
})

t.test('what is to be tried alone is not handed to a busy slot', async (t) => {
  const { clock, engine, batcher, request, rows } = setUp(1, { maxBatchRows: 50 }, 1)
  for (const rows of [1, 10, 50]) batcher.seed(rows, 1, rows * 0.0001)
  const broken = [request(2), request(3)].map((asked) => batcher.submit(asked).outputs)
  await clock.flush()
  const next = batcher.submit(request(50)).outputs
  await clock.flush()
  t.same(rows(), [5, 50])
  engine.calls[0]!.fail(new Error('broken'))
  await clock.flush()
  const more = batcher.submit(request(50)).outputs
  await clock.flush()
  t.same(rows(), [50])
  engine.calls[0]!.finish()
  await clock.flush()
  t.same(rows(), [2], 'alone, and before what came later')
  for (let i = 0; i < 3; i++) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  await Promise.all([...broken, next, more])
})

t.test('whatever is cut and put together, each answer is that of its own rows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 4 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
      async (slots, sizes, order) => {
        const { clock, engine, batcher, request } = setUp(slots, { maxBatchRows: 20 })
        for (const rows of [1, 10, 100]) batcher.seed(rows, 1, rows * 0.001)
        const asked = sizes.map((rows, i) => request(rows, 100_000 - i, i % 2 === 0 ? ['sum', 'pair'] : ['pair']))
        const answers = Promise.all(asked.map((request) => batcher.submit(request).outputs))
        await clock.flush()
        for (let i = 0; engine.calls.length > 0; i++) {
          engine.calls[order[i % order.length]! % engine.calls.length]!.finish()
          await clock.flush()
        }
        const expected = asked.map(answerTo)
        for (const [i, outputs] of (await answers).entries())
          for (const name of asked[i]!.wanted)
            if (String(outputs[name]) !== String(expected[i]![name])) throw new Error(`${name} of request ${i}`)
      },
    ),
    { numRuns: randomCases(200) },
  )
})

t.test('rows count once, though an answer fits them and not the others of their batch', async (t) => {
  const engine = createManualEngine()
  const { clock, batcher, request } = setUp(2, {
    maxBatchRows: 4,
    async execute(batch, wanted) {
      const outputs = await engine.execute(batch, wanted)
      return wanted.includes('pair') ? { ...outputs, pair: new Float32Array(1) } : outputs
    },
  })
  // Its first four rows go alone, the others with the next request.
  const cut = request(6)
  const other = request(2, 20_000, ['pair'])
  const failed = t.rejects(batcher.submit(other).outputs, {
    code: 'MODEL_FAILED',
    message: /returned no output pair for 2 rows/,
  })
  const { outputs } = batcher.submit(cut)
  await clock.flush()
  // The other slot's call, then both requests alone; the first four rows come last.
  for (const call of [1, 1, 1, 0]) {
    engine.calls[call]!.finish()
    await clock.flush()
  }
  await failed
  t.equal(batcher.stats().requests, 0)
  t.same(await outputs, answerTo(cut))
})

t.test('a call that throws gives its slot back, in whatever way it throws', async (t) => {
  const { clock, share, batcher, request } = setUp(2, {
    isolate: () => false,
    execute: () => {
      throw new Error('at once')
    },
  })
  const failed = Array.from({ length: 3 }, () =>
    t.rejects(batcher.submit(request(100)).outputs, { code: 'MODEL_FAILED', message: /at once/ }),
  )
  await clock.flush()
  await Promise.all(failed)
  t.equal(share.free, 2)
})

t.test('what is to be tried alone is released though its model is closed before a slot is free', async (t) => {
  const { clock, engine, batcher, create, request } = setUp(1)
  const rival = create()
  let released = 0
  const submissions = [request(1), request(1)].map((asked) => batcher.submit({ ...asked, released: () => released++ }))
  await clock.flush()
  rival.submit(request(1))
  clock.pass(10)
  engine.calls[0]!.fail(new Error('broken'))
  await clock.flush()
  t.equal(engine.calls.length, 1, 'the other model has the slot')
  const given = submissions.map(({ outputs, cancel }) => {
    cancel()
    return t.rejects(outputs, { code: 'CANCELLED' })
  })
  await Promise.all([...given, batcher.close()])
  t.equal(released, 2)
})

t.test('destroy() releases at once what no engine has, and the rest when it is done', async (t) => {
  const { clock, engine, batcher, request } = setUp(1)
  const released: string[] = []
  const submit = (name: string) =>
    t.rejects(batcher.submit({ ...request(1), released: () => released.push(name) }).outputs, { message: 'gone' })
  const running = submit('running')
  await clock.flush()
  const waiting = submit('waiting')
  batcher.destroy(new ModelError('DRAINING', 'gone'))
  await Promise.all([running, waiting])
  t.same(released, ['waiting'])
  engine.calls[0]!.finish()
  await clock.flush()
  t.same(released, ['waiting', 'running'])
})

t.test('a request that is refused is released at once', async (t) => {
  const { batcher, request } = setUp(1)
  let released = 0
  const refused = batcher.submit({ ...request(1, 0), released: () => released++ })
  t.equal(released, 1)
  await t.rejects(refused.outputs, { code: 'DEADLINE_EXCEEDED' })
  refused.cancel()
  t.equal(released, 1)
})
