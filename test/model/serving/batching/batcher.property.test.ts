import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { Batcher } from '../../../../src/model/serving/batching/batcher.ts'
import { FairShare } from '../../../../src/model/serving/batching/fair-share.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'
import { batchOf, compute, createManualEngine } from '../../../support/fakes/engine.ts'

/** Events that may happen to a batcher, in any order. */
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('submit' as const),
      rows: fc.array(fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: -100, max: 100 })), {
        minLength: 1,
        maxLength: 9,
      }),
      wanted: fc.subarray(['sum', 'difference', 'pair'], { minLength: 1 }),
      deadlineMs: fc.integer({ min: 1, max: 60 }),
      poisoned: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('finish' as const), call: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fail' as const), call: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancel' as const), request: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 25 }) }) },
)

const settings = fc.record({
  maxBatchRows: fc.integer({ min: 1, max: 6 }),
  maxDelayMs: fc.constantFrom(0, 0, 3, 10),
  maxQueueRows: fc.integer({ min: 1, max: 20 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
})

t.test(
  'for any interleaving, every answer equals the unbatched one, and every failure has its own reason',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(settings, fc.array(event, { maxLength: 40 }), async ({ concurrency, ...options }, events) => {
        const clock = createFakeClock()
        const engine = createManualEngine()
        const batcher = new Batcher({ ...options, share: new FairShare(concurrency), execute: engine.execute, clock })
        const requests: {
          rows: (readonly [number, number])[]
          wanted: string[]
          cancelled: boolean
          result: Promise<unknown>
          cancel(): void
        }[] = []
        let injected = false

        for (const step of events) {
          switch (step.type) {
            case 'submit': {
              const rows = step.rows.map(
                ([id, value], i) => [id, step.poisoned && i === 0 ? Number.NaN : value] as const,
              )
              const submission = batcher.submit({
                batch: batchOf(rows),
                wanted: step.wanted,
                deadline: clock.now() + step.deadlineMs,
              })
              const result = submission.outputs.catch((error) => error)
              requests.push({ rows, wanted: step.wanted, cancelled: false, result, cancel: submission.cancel })
              break
            }
            case 'finish':
              engine.calls[step.call % Math.max(1, engine.calls.length)]?.finish()
              break
            case 'fail':
              injected ||= engine.calls.length > 0
              engine.calls[step.call % Math.max(1, engine.calls.length)]?.fail(new Error('injected'))
              break
            case 'cancel': {
              const request = requests[step.request]
              if (request) request.cancelled = true
              request?.cancel()
              break
            }
            case 'advance':
              await clock.advance(step.ms)
          }
          await clock.flush()
          const { queuedRows, inFlightBatches } = batcher.stats()
          if (inFlightBatches > concurrency) throw new Error(`${inFlightBatches} calls under way`)
          if (queuedRows < 0 || queuedRows > Math.max(options.maxQueueRows, 9))
            throw new Error(`${queuedRows} rows queued`)
          if (engine.calls.some(({ batch }) => batch.rows > options.maxBatchRows))
            throw new Error('a batch is too large')
          if (options.maxDelayMs === 0 && queuedRows > 0 && inFlightBatches < concurrency)
            throw new Error('an engine idles while rows wait')
        }

        const closed = batcher.close()
        while (engine.calls.length > 0 || batcher.stats().requests > 0) {
          for (const call of [...engine.calls]) call.finish()
          await clock.flush()
        }
        await closed
        for (const { rows, wanted, cancelled, result } of requests) {
          const outcome = await result
          const poisoned = rows.some(([, value]) => Number.isNaN(value))
          if (!(outcome instanceof Error)) {
            t.same(outcome, compute(batchOf(rows), wanted))
            continue
          }
          const { code } = outcome as ModelError
          const allowed = [
            'QUEUE_FULL',
            'DEADLINE_EXCEEDED',
            ...(cancelled ? ['CANCELLED'] : []),
            ...(poisoned || injected ? ['MODEL_FAILED'] : []),
          ]
          if (!(outcome instanceof ModelError) || !allowed.includes(code)) throw new Error(`unexpected ${outcome}`)
        }
        if (batcher.stats().queuedRows !== 0 || clock.timers !== 0) throw new Error('something is left behind')
      }),
      { numRuns: randomCases(400) },
    )
  },
)
