import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { Batcher } from '../../../../src/model/serving/batching/batcher.ts'
import { FairShare } from '../../../../src/model/serving/batching/fair-share.ts'
import type { BatcherOptions, BatchRequest, ReleaseReason } from '../../../../src/model/serving/batching/submission.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'
import { answerOf, batchOf, createManualEngine } from '../../../support/fakes/engine.ts'

function setUp(options: Partial<BatcherOptions> = {}) {
  const clock = createFakeClock()
  const engine = createManualEngine()
  const events: string[] = []
  const batcher = new Batcher({
    maxBatchRows: 4,
    maxDelayMs: 0,
    maxQueueRows: 12,
    share: new FairShare(1),
    execute: engine.execute,
    clock,
    observer: {
      released: ({ rows, requests, reason }) =>
        events.push(`released ${rows} rows of ${requests}: ${reason satisfies ReleaseReason}`),
      shed: (reason) => events.push(`shed: ${reason}`),
      cancelled: (stage) => events.push(`cancelled: ${stage}`),
    },
    ...options,
  })
  let nextId = 1
  /** A request of so many rows, all different from any other's. */
  const request = (rows: number, deadlineMs = 10_000): BatchRequest => ({
    batch: batchOf(Array.from({ length: rows }, () => [nextId++, 0.5] as const)),
    wanted: ['sum'],
    deadline: clock.now() + deadlineMs,
  })
  return { clock, engine, events, batcher, request }
}

const sums = (request: BatchRequest) =>
  Float32Array.from(request.batch.inputs.sparse as Int32Array, (id) => answerOf(id, 0.5).sum)

/** Rejections are looked at later than they happen. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

t.test('an idle engine is given a lone request at once', async (t) => {
  const { clock, engine, batcher, request, events } = setUp()
  const asked = request(2)
  const { outputs } = batcher.submit(asked)
  await clock.flush()
  t.equal(engine.calls.length, 1)
  t.equal(engine.calls[0]!.batch, asked.batch, 'without a copy')
  engine.calls[0]!.finish()
  t.same((await outputs).sum, sums(asked))
  t.same(events, ['released 2 rows of 1: idle'])
})

t.test('what arrives while the engine is busy goes together', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const first = batcher.submit(request(1))
  await clock.flush()
  const requests = [request(1), request(2), request(3)]
  const answers = requests.map((asked) => batcher.submit(asked).outputs)
  await clock.flush()
  t.equal(engine.calls.length, 1, 'only the first runs')
  t.equal(batcher.stats().queuedRows, 6)
  engine.calls[0]!.finish()
  await first.outputs
  await clock.flush()
  t.equal(engine.calls[0]!.batch.rows, 3, 'two whole requests; the third would not fit')
  engine.calls[0]!.finish()
  await clock.flush()
  engine.calls[0]!.finish()
  for (const [i, answer] of answers.entries()) t.same((await answer).sum, sums(requests[i]!))
})

t.test('requests that arrive at the same moment go together though the engine is idle', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  batcher.submit(request(1))
  batcher.submit(request(2))
  await clock.flush()
  t.equal(engine.calls.length, 1)
  t.equal(engine.calls[0]!.batch.rows, 3)
})

t.test('with a delay, an idle engine waits that long, but not for a full batch', async (t) => {
  const { clock, engine, batcher, request, events } = setUp({ maxDelayMs: 5 })
  batcher.submit(request(1))
  await clock.advance(4)
  t.equal(engine.calls.length, 0)
  batcher.submit(request(1))
  await clock.advance(1)
  t.equal(engine.calls[0]!.batch.rows, 2)
  engine.calls[0]!.finish()
  await clock.flush()
  batcher.submit(request(2))
  batcher.submit(request(2))
  await clock.flush()
  t.equal(engine.calls[0]!.batch.rows, 4)
  t.same(events, ['released 2 rows of 2: delay', 'released 4 rows of 2: full'])
})

t.test('a request larger than the batch limit is split over engines and put together again', async (t) => {
  const { clock, engine, batcher, request } = setUp({ share: new FairShare(2) })
  const asked = request(10)
  const { outputs } = batcher.submit(asked)
  await clock.flush()
  t.same(
    engine.calls.map(({ batch }) => batch.rows),
    [4, 4],
  )
  engine.calls[1]!.finish()
  await clock.flush()
  engine.calls[1]!.finish()
  engine.calls[0]!.finish()
  t.same((await outputs).sum, sums(asked))
})

t.test('requests of one batch may want different outputs', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const one = { ...request(1), wanted: ['sum'] }
  const other = { ...request(1), wanted: ['pair', 'difference'] }
  const answers = [batcher.submit(one).outputs, batcher.submit(other).outputs]
  await clock.flush()
  t.same(engine.calls[0]!.wanted, ['sum', 'pair', 'difference'])
  engine.calls[0]!.finish()
  t.same(await answers[0], { sum: new Float32Array([1.5]) })
  t.same(await answers[1], { pair: new Float32Array([2.5, 1.5]), difference: new Float32Array([1.5]) })
})

t.test('a full queue refuses at once, and says when to come again', async (t) => {
  const { clock, batcher, request, events } = setUp()
  batcher.seed(4, 1, 0.4)
  batcher.submit(request(4))
  await clock.flush()
  batcher.submit(request(12))
  const error = await batcher.submit(request(1)).outputs.catch((error) => error)
  t.equal(error.code, 'QUEUE_FULL')
  // Three full batches wait, and one has just begun.
  t.ok(Math.abs(error.retryAfterSeconds - 1.6) < 1e-6)
  t.ok(events.includes('shed: queue_full'))
})

t.test('what could not be computed before its deadline is refused at once', async (t) => {
  const { clock, engine, batcher, request, events } = setUp()
  batcher.seed(4, 1, 0.4)
  batcher.submit(request(4))
  await clock.flush()
  const waiting = batcher.submit(request(4))
  // A batch has just begun, one waits, then its own: 1.2 s.
  const error = await batcher.submit(request(4, 1100)).outputs.catch((error) => error)
  t.match(error, {
    code: 'QUEUE_FULL',
    message:
      /cannot meet its deadline: 4 rows are ahead of it, the answer is predicted to take about 1200 ms, and 1100 ms are left/,
  })
  t.ok(events.includes('shed: predicted_wait'))
  const inTime = batcher.submit(request(4, 1300))
  for (let i = 0; i < 3; i++) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  t.ok(await waiting.outputs)
  t.ok(await inTime.outputs)
})

t.test('a short deadline is tried where nothing waits, whatever is predicted', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  batcher.seed(4, 1, 0.4)
  const { outputs } = batcher.submit(request(4, 10))
  await clock.flush()
  engine.calls[0]!.finish()
  t.ok(await outputs)
})

t.test('a request larger than the queue is let in while nothing waits', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const asked = request(20)
  const { outputs } = batcher.submit(asked)
  for (let i = 0; i < 5; i++) {
    await clock.flush()
    engine.calls[0]!.finish()
  }
  t.same((await outputs).sum, sums(asked))
})

t.test('a deadline that passes in the queue is told at once, and the request never computed', async (t) => {
  const { clock, engine, batcher, request, events } = setUp()
  batcher.submit(request(1))
  await clock.flush()
  const late = quietly(batcher.submit(request(1, 20)).outputs)
  const inTime = batcher.submit(request(1, 60)).outputs
  await clock.advance(20)
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED', stage: 'queue' })
  engine.calls[0]!.finish()
  await clock.flush()
  t.equal(engine.calls[0]!.batch.rows, 1)
  engine.calls[0]!.finish()
  await inTime
  t.equal(clock.timers, 1, 'one timer, for the next deadline')
  t.ok(events.includes('shed: deadline'))
})

t.test('a deadline that passes while it is computed says so', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const late = quietly(batcher.submit(request(1, 20)).outputs)
  await clock.flush()
  await clock.advance(20)
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED', stage: 'compute' })
  engine.calls[0]!.finish()
  await clock.flush()
  t.equal(batcher.stats().inFlightBatches, 0)
})

t.test('a deadline that has passed already is refused', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  await t.rejects(batcher.submit(request(1, 0)).outputs, { code: 'DEADLINE_EXCEEDED', stage: 'queue' })
  await clock.flush()
  t.equal(engine.calls.length, 0)
})

t.test('what has expired is left out of a batch even before the timer says so', async (t) => {
  let now = 0
  const clock = { ...createFakeClock(), now: () => now, after: () => () => undefined }
  const { engine, batcher, request } = setUp({ clock })
  batcher.submit({ ...request(1), deadline: 1000 })
  await clock.flush()
  const late = quietly(batcher.submit({ ...request(1), deadline: 10 }).outputs)
  batcher.submit({ ...request(1), deadline: 1000 })
  now = 10
  engine.calls[0]!.finish()
  await clock.flush()
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED' })
  t.equal(engine.calls[0]!.batch.rows, 1)
})

t.test('a cancelled request is never computed and frees its place', async (t) => {
  const { clock, engine, batcher, request, events } = setUp()
  batcher.submit(request(1))
  await clock.flush()
  const cancelled = batcher.submit(request(12))
  quietly(cancelled.outputs)
  t.equal(batcher.stats().queuedRows, 12)
  cancelled.cancel()
  cancelled.cancel()
  await t.rejects(cancelled.outputs, { code: 'CANCELLED' })
  t.equal(batcher.stats().queuedRows, 0)
  engine.calls[0]!.finish()
  await clock.flush()
  t.equal(engine.calls.length, 0)
  t.same(
    events.filter((event) => event.startsWith('cancelled')),
    ['cancelled: queue'],
  )
})

t.test('a request cancelled in mid-batch harms none of its batch-mates', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const asked = request(2)
  const cancelled = batcher.submit(request(1))
  const kept = batcher.submit(asked)
  quietly(cancelled.outputs)
  await clock.flush()
  cancelled.cancel()
  await t.rejects(cancelled.outputs, { code: 'CANCELLED' })
  engine.calls[0]!.finish()
  t.same((await kept.outputs).sum, sums(asked))
})

t.test('when a batch throws, each request is tried alone, and only the culprit fails', async (t) => {
  const { clock, engine, batcher, request, events } = setUp()
  const good = [request(1), request(2)]
  const bad: BatchRequest = { ...request(1), batch: batchOf([[99, Number.NaN]]) }
  const answers = [batcher.submit(good[0]!), batcher.submit(bad), batcher.submit(good[1]!)].map(({ outputs }) =>
    quietly(outputs),
  )
  await clock.flush()
  for (let i = 0; i < 4; i++) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  t.same((await answers[0])?.sum, sums(good[0]!))
  await t.rejects(answers[1]!, { code: 'MODEL_FAILED', message: 'The model failed: the graph met NaN' })
  t.same((await answers[2])?.sum, sums(good[1]!))
  t.equal(events.filter((event) => event.endsWith('isolated')).length, 3)
})

t.test('errors that may not be tried again fail the whole batch, and nothing else', async (t) => {
  const { clock, engine, batcher, request } = setUp({ isolate: () => false })
  const lost = [batcher.submit(request(1)), batcher.submit(request(1))].map(({ outputs }) => quietly(outputs))
  await clock.flush()
  const waiting = batcher.submit(request(1))
  engine.calls[0]!.fail(new ModelError('MODEL_FAILED', 'its worker died'))
  for (const outputs of lost) await t.rejects(outputs, { code: 'MODEL_FAILED', message: 'its worker died' })
  await clock.flush()
  engine.calls[0]!.finish()
  t.ok(await waiting.outputs)
})

t.test('an engine that answers too little fails its request', async (t) => {
  const { clock, batcher, request } = setUp({ execute: async () => ({ sum: new Float32Array(3) }) })
  const { outputs } = batcher.submit(request(2))
  quietly(outputs)
  await clock.flush()
  await t.rejects(outputs, { code: 'MODEL_FAILED', message: /returned no output sum for 2 rows/ })
})

t.test('a split request fails as a whole, once', async (t) => {
  const { clock, engine, batcher, request } = setUp({ share: new FairShare(2), isolate: () => false })
  const { outputs } = batcher.submit(request(8))
  quietly(outputs)
  await clock.flush()
  engine.calls[0]!.fail(new Error('broken'))
  await t.rejects(outputs, { message: /broken/ })
  engine.calls[0]!.finish()
  await clock.flush()
  t.equal(batcher.stats().requests, 0)
})

t.test('close() refuses new requests and answers all that were accepted', async (t) => {
  const { clock, engine, batcher, request, events } = setUp({ maxDelayMs: 1000 })
  const accepted = batcher.submit(request(1))
  const closed = batcher.close()
  t.equal(batcher.close(), closed, 'it is idempotent')
  await t.rejects(batcher.submit(request(1)).outputs, { code: 'DRAINING' })
  await clock.flush()
  t.same(events, ['released 1 rows of 1: drain'], 'what waits for company is released at once')
  engine.calls[0]!.finish()
  t.ok(await accepted.outputs)
  await closed
  t.equal(clock.timers, 0)
})

t.test('close() of an idle batcher resolves at once', async (t) => {
  const { batcher } = setUp()
  await t.resolves(batcher.close())
})

t.test('close() waits for an engine that computes for nobody any more', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const cancelled = batcher.submit(request(1))
  quietly(cancelled.outputs)
  await clock.flush()
  cancelled.cancel()
  let closed = false
  const closing = batcher.close().then(() => {
    closed = true
  })
  await clock.flush()
  t.notOk(closed)
  engine.calls[0]!.finish()
  await closing
  t.ok(closed)
})

t.test('destroy() rejects what waits and what is computed', async (t) => {
  const { clock, engine, batcher, request } = setUp()
  const running = quietly(batcher.submit(request(1)).outputs)
  await clock.flush()
  const waiting = quietly(batcher.submit(request(1)).outputs)
  const error = new ModelError('DRAINING', 'gone')
  batcher.destroy(error)
  batcher.destroy(error)
  await t.rejects(running, error)
  await t.rejects(waiting, error)
  engine.calls[0]!.finish()
  await batcher.close()
  t.same(batcher.stats(), { queuedRows: 0, inFlightBatches: 0, requests: 0, predictedWaitSeconds: 0 })
})

t.test('the predicted wait counts only while every engine is busy', async (t) => {
  const { clock, batcher, request } = setUp()
  batcher.seed(4, 1, 1)
  batcher.seed(2, 1, 0.5)
  t.equal(batcher.stats().predictedWaitSeconds, 0)
  batcher.submit(request(4))
  await clock.flush()
  batcher.submit(request(2))
  const { predictedWaitSeconds } = batcher.stats()
  t.ok(
    Math.abs(predictedWaitSeconds - 1.5) < 1e-6,
    `${predictedWaitSeconds}: a batch that has just begun, and two rows`,
  )
})

t.test('abuse: a request without rows is a programming error', async (t) => {
  const { batcher, request } = setUp()
  for (const rows of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => batcher.submit({ ...request(1), batch: { rows, inputs: {} } }), RangeError)
  }
})

t.test('tenants take turns in the queue, and one that floods delays another by one turn', async (t) => {
  const { clock, engine, batcher, request } = setUp({ maxBatchRows: 1, maxQueueRows: 100 })
  const flood = { id: 'flood', queueShare: 1, cacheShare: 1 }
  const other = { id: 'other', queueShare: 1, cacheShare: 1 }
  const order: string[] = []
  const submit = (tenant: typeof flood, deadlineMs: number) =>
    batcher.submit({ ...request(1, deadlineMs), tenant }).outputs.then(() => order.push(tenant.id))
  const all = Array.from({ length: 6 }, () => submit(flood, 1000))
  await clock.flush()
  // Its deadline is the latest of all.
  all.push(submit(other, 9000))
  for (let call = 0; call < 7; call++) {
    engine.calls[0]!.finish()
    await clock.flush()
  }
  await Promise.all(all)
  t.ok(order.indexOf('other') <= 2, order.join())
})

t.test("a tenant's share bounds its rows in the queue, and nobody else's", async (t) => {
  const { clock, batcher, request, events } = setUp({ maxBatchRows: 4, maxQueueRows: 12 })
  const limited = { id: 'limited', queueShare: 0.5, cacheShare: 1 }
  const free = { id: 'free', queueShare: 1, cacheShare: 1 }
  quietly(batcher.submit(request(4)).outputs)
  await clock.flush()
  for (let i = 0; i < 3; i++) quietly(batcher.submit({ ...request(2), tenant: limited }).outputs)
  await t.rejects(batcher.submit({ ...request(1), tenant: limited }).outputs, {
    code: 'QUEUE_FULL',
    message: "The key's share of the queue is full: 6 of its rows are waiting",
  })
  t.equal(events.at(-1), 'shed: quota')
  quietly(batcher.submit({ ...request(6), tenant: free }).outputs)
  t.equal(batcher.stats().queuedRows, 12)
  batcher.destroy(new Error('over'))
})

t.test("a tenant's share bounds the time that it can keep the engine busy until its deadlines", async (t) => {
  const { clock, engine, batcher, request, events } = setUp({ maxBatchRows: 1, maxQueueRows: 1000 })
  // 10 ms a call.
  for (let i = 0; i < 20; i++) batcher.seed(1, 1, 0.01)
  const limited = { id: 'limited', queueShare: 0.25, cacheShare: 1 }
  quietly(batcher.submit(request(1)).outputs)
  await clock.flush()
  let accepted = 0
  while (!events.includes('shed: quota')) {
    accepted++
    quietly(batcher.submit({ ...request(1, 200), tenant: limited }).outputs)
  }
  // A quarter of 200 ms holds five calls; one more finds them within it.
  t.equal(accepted - 1, 6)
  t.equal(engine.calls.length, 1)
  const { outputs } = batcher.submit({ ...request(1, 200), tenant: { ...limited, id: 'other' } })
  t.equal(events.at(-1), 'shed: quota', 'another tenant is accepted')
  quietly(outputs)
  batcher.destroy(new Error('over'))
})
