import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { product } from '../../../base/arrays.ts'
import { momentsOf, type Table, type TrainingStep } from '../network/training-step.ts'
import type { Rates } from './adam.ts'
import type {
  SharedExamples,
  SharedRows,
  SharedState,
  StepBounds,
  ThreadAnswer,
  ThreadRequest,
  ThreadSetup,
} from './protocol.ts'
import { isDecayed } from './row-decay.ts'
import { activityLength, shareFloats, shareIntegers, stop } from './shared.ts'
import type { TableMemory, TableState } from './table-updates.ts'

/** Everything that training changes. */
export interface TrainingState {
  /** Parameters and statistics, `plan.size` floats, and Adam's moments. */
  weights: Float32Array
  first: Float32Array
  second: Float32Array
  tables: TableState[]
}

export interface EpochProgress {
  steps: number
  rows: number
  /** Σ loss of a step × its rows. */
  weightedLoss: number
}

/** A network in training, by threads that share memory. */
export interface Trainer {
  threads: number
  /**
   * Takes the steps of an epoch, in this order of training rows. Resolves with the index of the step whose loss is no
   * number; undefined where all were taken.
   */
  epoch(
    request: { epoch: number; order: Int32Array; bounds: StepBounds[]; stepsBefore: number },
    watch: (progress: EpochProgress) => void,
  ): Promise<{ failed: number | undefined; progress: EpochProgress }>
  /** float32 [rows, tasks], in inference mode: with moving statistics and no dropout. */
  logits(rows: SharedRows): Promise<Float32Array>
  /** Tables are the trainer's own memory, which the next epoch changes. */
  read(): Promise<TrainingState>
  write(state: TrainingState): Promise<void>
  close(): Promise<void>
}

export interface TrainerOptions {
  plan: TrainingStep
  threads: number
  examples: SharedExamples
  /** Initial values by name; tables are copied. */
  values: (name: string) => Float32Array
  termWeights: number[]
  rowMean?: boolean
  largestStep: number
  rates: Rates
  seed: number
  unknown: ThreadSetup['unknown']
  signal: AbortSignal
}

/** Milliseconds between looks at the threads' progress. */
const watchInterval = 50

/** Rejects with the signal's reason when aborted, and with an Error where a thread fails or ends. */
export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  const { plan, threads, examples, values, signal } = options
  signal.throwIfAborted()
  const weights = new Float32Array(plan.size)
  for (const { name, offset } of [...plan.parameters, ...plan.statistics]) weights.set(values(name), offset)
  const tables = plan.tables.map((table) => tableMemory(table, values))
  const shared = createSharedState(options)
  const workers = Array.from({ length: threads }, (_, thread) => {
    const { termWeights, rowMean, largestStep, rates, seed, unknown } = options
    const setup: ThreadSetup = {
      ...{ plan, thread, threads, tables, weights, examples, termWeights, rowMean, largestStep, rates, seed, unknown },
      shared,
    }
    return new Worker(new URL('./thread.js', import.meta.url), { workerData: setup })
  })
  let closed: Promise<unknown> | undefined
  /** Once: a thread that was ended on the point of a call says for ever that it computes. */
  const close = async () => {
    closed ??= stop(shared.activity).then(() => Promise.all(workers.map((worker) => worker.terminate())))
    await closed
  }
  /** Threads that wait for each other can only be ended. */
  const failed = new Promise<never>((_, reject) => {
    const end = (reason: unknown) => {
      reject(reason)
      void close()
    }
    signal.addEventListener('abort', () => end(signal.reason), { once: true })
    for (const worker of workers) {
      worker.once('error', end)
      worker.once('exit', (code) => end(new Error(`a thread of training ended with code ${code}`)))
      worker.on('message', (answer: ThreadAnswer) => {
        if (answer.kind === 'error') end(Object.assign(new Error(answer.message), { code: answer.code }))
      })
    }
  })
  failed.catch(() => undefined)
  const next = (worker: Worker) =>
    Promise.race([new Promise<ThreadAnswer>((resolve) => worker.once('message', resolve)), failed])
  const ask = async (worker: Worker, request: ThreadRequest) => {
    const answer = next(worker)
    worker.postMessage(request)
    return await answer
  }
  const progressOf = (): EpochProgress => {
    const [steps, rows, weightedLoss] = shared.progress as unknown as [number, number, number]
    return { steps, rows, weightedLoss }
  }
  await Promise.all(workers.map(next))

  return {
    threads,
    async epoch({ epoch, order, bounds, stepsBefore }, watch) {
      shared.order.set(order)
      shared.progress.fill(0)
      const request: ThreadRequest = { kind: 'epoch', epoch, bounds, stepsBefore }
      const running = Promise.all(workers.map((worker) => ask(worker, request)))
      let over = false
      const ended = running.finally(() => {
        over = true
      })
      while (!over) {
        await Promise.race([ended, delay(watchInterval)])
        if (!over) watch(progressOf())
      }
      const [answer] = await running
      return { failed: answer?.kind === 'epoch' ? answer.failed : undefined, progress: progressOf() }
    },
    async logits(rows) {
      const logits = shareFloats(rows.rows * plan.tasks)
      await Promise.all(
        workers.map((worker, thread) => {
          const cut = (i: number) => Math.floor((rows.rows * i) / threads)
          return ask(worker, { kind: 'logits', rows, start: cut(thread), end: cut(thread + 1), logits })
        }),
      )
      return Float32Array.from(logits)
    },
    async read() {
      const answer = await ask(workers[0]!, { kind: 'read' })
      if (answer.kind !== 'weights') throw new Error(`a thread answered ${answer.kind}`)
      const { weights, first, second } = answer
      return { weights, first, second, tables }
    },
    async write(state) {
      tables.forEach((table, i) => {
        table.values.set(state.tables[i]!.values)
        table.first.set(state.tables[i]!.first)
        table.second.set(state.tables[i]!.second)
      })
      const { weights, first, second } = state
      await Promise.all(workers.map((worker) => ask(worker, { kind: 'write', weights, first, second })))
    },
    close,
  }
}

function tableMemory(table: Table, values: TrainerOptions['values']): TableMemory {
  const { name, rows, width } = table
  const { first, second } = momentsOf(table)
  const memory = {
    values: shareFloats(rows * width),
    first: shareFloats(first),
    second: shareFloats(second),
    decayed: new Float64Array(new SharedArrayBuffer(isDecayed(table) ? rows * 8 : 0)),
  }
  memory.values.set(values(name))
  return memory
}

function createSharedState({ plan, threads, examples, largestStep }: TrainerOptions): SharedState {
  const alone = threads === 1
  const largest = Math.ceil(largestStep / threads)
  const each = <T>(make: () => T) => Array.from({ length: alone ? 0 : threads }, make)
  return {
    activity: shareIntegers(activityLength(threads)),
    barrier: shareIntegers(2),
    losses: new Float64Array(new SharedArrayBuffer(threads * 8)),
    progress: new Float64Array(new SharedArrayBuffer(3 * 8)),
    gradients: each(() => shareFloats(plan.size)),
    rows: each(() =>
      plan.lookUps.map(({ dims, table }) => {
        const ids = largest * product(dims)
        return { ids: shareIntegers(ids), gradients: shareFloats(ids * plan.tables[table]!.width) }
      }),
    ),
    counts: each(() => shareIntegers(plan.lookUps.length)),
    order: shareIntegers(examples.rows),
  }
}
