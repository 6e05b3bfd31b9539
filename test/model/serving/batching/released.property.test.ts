import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { Batcher } from '../../../../src/model/serving/batching/batcher.ts'
import { FairShare } from '../../../../src/model/serving/batching/fair-share.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { createFakeClock } from '../../../support/fakes/clock.ts'
import { batchOf, createManualEngine } from '../../../support/fakes/engine.ts'

/** Events that may happen to two models that share an engine, in any order. */
const event = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      type: fc.constant('submit' as const),
      model: fc.nat(1),
      rows: fc.integer({ min: 1, max: 9 }),
      deadlineMs: fc.integer({ min: -1, max: 60 }),
      poisoned: fc.nat(7).map((n) => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('finish' as const), call: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('fail' as const), call: fc.nat(5), lost: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cancel' as const), request: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close' as const), model: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('destroy' as const), model: fc.nat(1) }) },
)

const settings = fc.record({
  maxBatchRows: fc.integer({ min: 1, max: 6 }),
  maxDelayMs: fc.constantFrom(0, 0, 3),
  maxQueueRows: fc.integer({ min: 1, max: 30 }),
})

interface Request {
  /** The id of all its rows. */
  id: number
  settled: boolean
  releases: number
  cancel?(): void
}

/** An error of another class than those after which requests are tried again. */
class LostError extends ModelError {}

t.test(
  'for any interleaving, each request is released once: not before it is settled, nor while an engine has it',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        settings,
        fc.array(event, { maxLength: 50 }),
        async (slots, options, events) => {
          const clock = createFakeClock()
          const engine = createManualEngine()
          const share = new FairShare(slots)
          const batchers = [0, 1].map(
            () =>
              new Batcher({
                ...options,
                share,
                clock,
                execute: engine.execute,
                isolate: (error) => !(error instanceof LostError),
              }),
          )
          // A call that has begun gains by being cut, as far as they know.
          for (const batcher of batchers) for (const rows of [1, 4]) batcher.seed(rows, 1, rows * 0.001)
          const requests: Request[] = []
          let early: number | undefined

          const submit = (model: number, rows: number, deadlineMs: number, poisoned: boolean) => {
            const id = requests.length
            const request: Request = { id, settled: false, releases: 0 }
            requests.push(request)
            const { outputs, cancel } = batchers[model]!.submit({
              batch: batchOf(Array.from({ length: rows }, () => [id, poisoned ? Number.NaN : 0.5] as const)),
              wanted: ['sum'],
              deadline: clock.now() + deadlineMs,
              released() {
                request.releases++
                if (engine.calls.some(({ batch }) => (batch.inputs.sparse as Int32Array).includes(id))) early = id
              },
            })
            request.cancel = cancel
            const settle = () => {
              request.settled = true
            }
            outputs.then(settle, settle)
          }

          for (const step of events) {
            switch (step.type) {
              case 'submit':
                submit(step.model, step.rows, step.deadlineMs, step.poisoned)
                break
              case 'finish':
                engine.calls[step.call % Math.max(1, engine.calls.length)]?.finish()
                break
              case 'fail':
                engine.calls[step.call % Math.max(1, engine.calls.length)]?.fail(
                  step.lost ? new LostError('MODEL_FAILED', 'its worker died') : new Error('injected'),
                )
                break
              case 'cancel':
                requests[step.request]?.cancel?.()
                break
              case 'advance':
                await clock.advance(step.ms)
                break
              case 'pass':
                clock.pass(step.ms)
                break
              case 'close':
                batchers[step.model]!.close()
                break
              case 'destroy':
                batchers[step.model]!.destroy(new ModelError('DRAINING', 'gone'))
            }
            await clock.flush()
            if (early !== undefined) throw new Error(`${early} is released while an engine has it`)
            for (const { id, releases, settled } of requests)
              if (releases > (settled ? 1 : 0)) throw new Error(`${id} is released ${releases} times`)
          }

          let closed = 0
          for (const batcher of batchers) batcher.close().then(() => closed++)
          while (engine.calls.length > 0 || batchers.some((batcher) => batcher.stats().requests > 0)) {
            for (const call of [...engine.calls]) call.finish()
            await clock.advance(1)
          }
          // The timer says so of what has expired already.
          await clock.advance(1)
          if (closed < 2) throw new Error('a model can not be closed')
          for (const { id, releases, settled } of requests)
            if (releases !== 1 || !settled) throw new Error(`${id} is released ${releases} times`)
          if (share.free !== slots) throw new Error(`${share.free} slots of ${slots} are free`)
        },
      ),
      { numRuns: randomCases(1500) },
    )
  },
)
