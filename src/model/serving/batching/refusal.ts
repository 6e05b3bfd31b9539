import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { FairQueue, TenantSlice } from './fair-queue.ts'
import type { ModelSlots } from './fair-share.ts'
import type { Forecast } from './forecast.ts'
import type { BatcherOptions, BatchRequest, ShedReason, Submission } from './submission.ts'

export function refused(error: ModelError): Submission {
  return { outputs: Promise.reject(error), cancel: () => undefined }
}

export function expired(stage: 'queue' | 'compute'): ModelError {
  const where = stage === 'queue' ? 'in the queue' : 'while it was computed'
  return new ModelError('DEADLINE_EXCEEDED', `The request's deadline passed ${where}`, { stage })
}

export function draining(): ModelError {
  return new ModelError('DRAINING', 'The model is shutting down and accepts no new requests')
}

export function modelFailed(error: unknown): ModelError {
  if (error instanceof ModelError) return error
  return new ModelError('MODEL_FAILED', `The model failed: ${reasonOf(error)}`, { cause: error })
}

/** The load of a batcher, as far as the batcher knows it. */
interface Load {
  queue: FairQueue<TenantSlice>
  slots: ModelSlots
  forecast: Forecast
}

/** A request, as far as admission knows it. */
export type AskedRows = Pick<BatchRequest, 'deadline' | 'tenant'> & { batch: { rows: number } }

/** Why a request that has `ms` left until its deadline is refused; undefined if it is accepted. */
export function shedReason(
  { batch: { rows }, tenant }: Pick<AskedRows, 'batch' | 'tenant'>,
  ms: number,
  { queue, slots, forecast }: Load,
  { maxQueueRows }: Pick<BatcherOptions, 'maxQueueRows'>,
): { code: ShedReason; error: ModelError } | undefined {
  if (ms <= 0) return { code: 'deadline', error: expired('queue') }
  // An empty queue accepts any request; otherwise a very large one could never be answered.
  if (queue.rows === 0) return undefined
  const ahead = queue.ahead(tenant?.id, rows)
  const wait = slots.predictedWait(forecast.ofBacklog(ahead.rows, ahead.slices))
  const own = queue.of(tenant?.id)
  const share = tenant?.queueShare ?? 1
  // The same for a tenant's part of the queue.
  if (share < 1 && own.rows > 0) {
    const ownMs = (1000 * forecast.ofBacklog(own.rows, own.slices)) / slots.total
    if (own.rows + rows > share * maxQueueRows || ownMs > share * ms) return queueFull('quota', own.rows, wait)
  }
  if (queue.rows + rows > maxQueueRows) return queueFull('queue_full', queue.rows, wait)
  const seconds = forecast.untilComputed(rows, wait, ahead.rows)
  if (seconds * 1000 <= ms) return undefined
  const needed = `the answer is predicted to take about ${Math.round(1000 * seconds)} ms, and ${Math.floor(ms)} ms are left`
  return queueFull('predicted_wait', Math.round(ahead.rows), wait, needed)
}

function queueFull(code: keyof typeof messages, rows: number, retryAfterSeconds: number, needed = '') {
  const message = messages[code](rows, needed)
  return { code, error: new ModelError('QUEUE_FULL', message, { retryAfterSeconds }) }
}

const messages = {
  queue_full: (rows: number) => `The queue is full: ${rows} rows are waiting`,
  predicted_wait: (rows: number, needed: string) =>
    `The request cannot meet its deadline: ${rows} rows are ahead of it, ${needed}`,
  quota: (rows: number) => `The key's share of the queue is full: ${rows} of its rows are waiting`,
}
