import type { Batch, CallListener, Outputs } from '../../../src/model/contracts/engine.ts'

/** The answer of the fake graph to one row: different for every row and every output. */
export function answerOf(id: number, value: number): { sum: number; difference: number } {
  return { sum: Math.fround(id + value), difference: Math.fround(id - value) }
}

/** Inputs of one sparse field and one number a row, from the rows' numbers. */
export function batchOf(rows: readonly (readonly [id: number, value: number])[]): Batch {
  return {
    rows: rows.length,
    inputs: { sparse: Int32Array.from(rows, ([id]) => id), dense: Float32Array.from(rows, ([, value]) => value) },
  }
}

/** Computes the outputs of the fake graph; throws for a row whose value is NaN, as a poisoned input would. */
export function compute(batch: Batch, wanted: readonly string[]): Outputs {
  const { sparse, dense } = batch.inputs as { sparse: Int32Array; dense: Float32Array }
  if (dense.some(Number.isNaN)) throw new Error('the graph met NaN')
  const outputs: Outputs = {}
  // `pair` is two wide, the others one.
  for (const name of wanted) {
    outputs[name] = Float32Array.from(
      [...sparse].flatMap((id, row) => {
        const { sum, difference } = answerOf(id, dense[row]!)
        return name === 'pair' ? [sum, difference] : [name === 'sum' ? sum : difference]
      }),
    )
  }
  return outputs
}

export interface EngineCall {
  batch: Batch
  wanted: string[]
  listener: CallListener | undefined
  /** Answers as the graph would. */
  finish(): void
  fail(error: unknown): void
}

/** An engine whose calls end only when the test says so. */
export function createManualEngine(): {
  calls: EngineCall[]
  execute(batch: Batch, wanted: string[], listener?: CallListener): Promise<Outputs>
} {
  const calls: EngineCall[] = []
  return {
    calls,
    execute(batch, wanted, listener) {
      return new Promise((resolve, reject) => {
        const done = (settle: () => void) => () => {
          calls.splice(calls.indexOf(call), 1)
          settle()
        }
        const call: EngineCall = {
          batch,
          wanted,
          listener,
          finish: done(() => {
            try {
              resolve(compute(batch, wanted))
            } catch (error) {
              reject(error)
            }
          }),
          fail: (error) => done(() => reject(error))(),
        }
        calls.push(call)
      })
    },
  }
}
