import type { Batch, Outputs } from '../../contracts/engine.ts'
import { expired, modelFailed } from './refusal.ts'
import type { BatchCall, BatcherOptions, BatchRequest } from './submission.ts'

/** A request that costs less than its hand-over to a worker. */
export type ImmediateRequest = Omit<BatchRequest, 'wanted' | 'released'>

/**
 * Computes a request in this thread, from `started` on, as a call of its own. Throws DEADLINE_EXCEEDED or MODEL_FAILED.
 */
export function computeNow(
  { batch, deadline, begun }: ImmediateRequest,
  started: number,
  compute: (batch: Batch) => Outputs,
  { clock, observer }: Pick<BatcherOptions, 'clock' | 'observer'>,
): Outputs {
  if (deadline <= started) {
    observer?.shed?.('deadline')
    throw expired('queue')
  }
  const { rows } = batch
  const call: BatchCall = { rows, requests: 1, onEnd: [] }
  observer?.released?.({ rows, requests: 1, reason: 'immediate' })
  observer?.waited?.(0)
  begun?.(started, call)
  try {
    const outputs = compute(batch)
    observer?.computed?.(rows, (clock.now() - started) / 1000, 1)
    return outputs
  } catch (error) {
    throw modelFailed(error)
  } finally {
    for (const onEnd of call.onEnd) onEnd(clock.now())
  }
}
