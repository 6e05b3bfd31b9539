import type ort from 'onnxruntime-node'
import { product } from '../../../base/arrays.ts'
import { murmur3 } from '../../../base/hash.ts'
import { onnxruntime } from '../../../base/onnxruntime.ts'
import { unpackRange } from '../../data/packed-rows.ts'
import { type Place, stepInputs, type TrainingStep } from '../network/training-step.ts'
import { type AdamMemory, createAdamMemory, type StepScale, stepScale } from './adam.ts'
import { createTableUpdates } from './create-table-updates.ts'
import { Exchange } from './exchange.ts'
import { createGather, drawMask, partOf, type StepRows } from './gather.ts'
import { placesOf } from './places.ts'
import type { RowGradients, SharedRows, StepBounds, ThreadSetup } from './protocol.ts'
import { type RowDecay, rowDecayOf } from './row-decay.ts'
import { RowReader, sessionOptions, type Tensors, tensor } from './row-reader.ts'
import { active } from './shared.ts'
import type { TableUpdates } from './table-updates.ts'

/** Rows per call in inference. */
const inferenceRows = 4096

interface Sessions {
  step: ort.InferenceSession
  inference: ort.InferenceSession
  indexes: ort.InferenceSession | undefined
}

/** Takes a thread's part of every step. */
export class Stepper {
  /** Parameters and statistics, Adam's moments, and gradients, which ONNX Runtime writes where Adam reads them. */
  readonly memory: AdamMemory
  readonly #setup: ThreadSetup
  readonly #plan: TrainingStep
  readonly #sessions: Sessions
  readonly #exchange: Exchange
  readonly #gather: ReturnType<typeof createGather>
  readonly #parameters: Tensors
  readonly #statistics: Tensors
  readonly #results: Tensors
  readonly #loss = new Float32Array(1)
  readonly #decays: (RowDecay | undefined)[]
  readonly #updates: (TableUpdates | undefined)[]
  readonly #reader: RowReader
  readonly #rowGradients: Float32Array[]
  readonly #masks: Float32Array[]

  /** Rejects with ONNX Runtime's error if it can't run the graphs. */
  static async create(setup: ThreadSetup): Promise<Stepper> {
    const { activity } = setup.shared
    const open = (graph: Uint8Array) =>
      active(activity, setup.thread, () => onnxruntime.InferenceSession.create(graph, sessionOptions))
    const { step, inference, indexes } = setup.plan
    return new Stepper(setup, {
      step: await open(step),
      inference: await open(inference),
      indexes: indexes && (await open(indexes)),
    })
  }

  private constructor(setup: ThreadSetup, sessions: Sessions) {
    const { plan, thread, threads, tables, shared, examples } = setup
    this.#setup = setup
    this.#plan = plan
    this.#sessions = sessions
    this.#exchange = new Exchange(plan, thread, threads, shared)
    this.memory = createAdamMemory(plan.size)
    this.memory.weights.set(setup.weights)
    const largest = Math.ceil(setup.largestStep / threads)
    this.#gather = createGather({ ...setup, examples, order: shared.order, largest })
    const view = (values: Float32Array, { offset, size, dims }: Place) =>
      tensor(values.subarray(offset, offset + size), dims)
    const viewed = (places: readonly Place[]) =>
      Object.fromEntries(places.map((place) => [place.name, view(this.memory.weights, place)]))
    this.#parameters = viewed(plan.parameters)
    this.#statistics = viewed(plan.statistics)
    this.#results = { [plan.loss]: tensor(this.#loss, []) }
    for (const place of plan.parameters) this.#results[place.gradient] = view(this.memory.gradients, place)
    for (const place of plan.statistics) this.#results[place.batch] = view(this.memory.gradients, place)
    this.#decays = plan.tables.map((table, i) => rowDecayOf(table, tables[i]!))
    this.#updates = plan.tables.map((table, i) =>
      table.trained ? createTableUpdates(table, tables[i]!, thread, threads, this.#decays[i]) : undefined,
    )
    this.#reader = new RowReader(plan, tables, this.#indexes, largest, this.#decays, threads === 1)
    const { perRow, widths } = this.#reader
    this.#rowGradients = perRow.map((count, i) => new Float32Array(largest * count * widths[i]!))
    this.#masks = plan.masks.map(({ dims }) => new Float32Array(largest * product(dims)))
  }

  /** Takes the steps of an epoch; returns the index of the one whose loss is no number, if there is one. */
  async epoch(bounds: readonly StepBounds[], epoch: number, stepsBefore: number): Promise<number | undefined> {
    const { thread, threads, shared, rates } = this.#setup
    let elapsed = 0
    for (let number = 1; number <= stepsBefore; number++) elapsed += stepScale(rates, number).factor
    this.#pass(elapsed)
    for (const updates of this.#updates) updates?.begin()
    // Another thread's rows are read from the first step on.
    if (threads > 1) this.#exchange.part()
    for (const [i, step] of bounds.entries()) {
      const number = stepsBefore + i + 1
      const own = await this.#forwardAndBackward(this.#gather(step, epoch), step, number)
      const { loss, rows } = this.#exchange.meet(this.#loss[0]!, this.memory.gradients, own)
      if (!Number.isFinite(loss)) return i
      const scale = stepScale(rates, number)
      this.#update(rows, scale)
      elapsed += scale.factor
      this.#pass(elapsed)
      this.#exchange.part()
      if (thread > 0) continue
      shared.progress[0] = i + 1
      shared.progress[1] = step.end
      shared.progress[2] = shared.progress[2]! + loss * (step.end - step.start)
    }
    for (const updates of this.#updates) updates?.end()
    return undefined
  }

  /** Writes logits [rows, tasks] of rows `start` to `end`, in inference mode, into `logits`. */
  async logits(shared: SharedRows, start: number, end: number, logits: Float32Array): Promise<void> {
    const { inference } = this.#sessions
    const reader = new RowReader(this.#plan, this.#setup.tables, this.#indexes, Math.min(inferenceRows, end - start))
    for (let from = start; from < end; from += inferenceRows) {
      const to = Math.min(end, from + inferenceRows)
      // ONNX Runtime takes no shared memory.
      const { sparse, dense } = unpackRange(shared, from, to)
      const inputs = this.#inputs(to - from, sparse, dense)
      const rows = reader.read(to - from, await reader.idsOf(inputs))
      const feeds: Tensors = { ...inputs, ...rows, ...this.#parameters, ...this.#statistics }
      const answers = await this.#run(inference, feeds)
      logits.set(answers[this.#plan.logits]!.data as Float32Array, from * this.#plan.tasks)
    }
  }

  /** Returns the gradients of the rows that it looked up. */
  async #forwardAndBackward(part: StepRows, step: StepBounds, number: number): Promise<RowGradients[]> {
    const { lookUps, terms } = this.#plan
    const { rows } = part
    const inputs = this.#inputs(rows, part.sparse, part.dense)
    const ids = await this.#reader.idsOf(inputs)
    const feeds: Tensors = {
      ...{ ...inputs, ...this.#reader.read(rows, ids), ...this.#parameters, ...this.#draw(rows, step, number) },
      ...this.#items(part),
      [stepInputs.labels]: tensor(part.labels, [rows, terms]),
      [stepInputs.coefficients]: tensor(part.coefficients, [rows, terms]),
      [stepInputs.share]: tensor(Float32Array.of(rows / (step.end - step.start)), []),
    }
    const results = { ...this.#results }
    const gradients = ids.map((list, i) => this.#rowGradients[i]!.subarray(0, list.length * this.#reader.widths[i]!))
    lookUps.forEach(({ gradient, dims }, i) => {
      if (gradient) results[gradient] = tensor(gradients[i]!, [rows, ...dims, this.#reader.widths[i]!])
    })
    const session = this.#sessions.step
    await this.#run(session, feeds, results)
    return ids.map((list, i) => ({ ids: list, gradients: gradients[i]! }))
  }

  /** Computes the rows' numbers of look-ups; undefined where they are inputs. */
  get #indexes() {
    const { indexes } = this.#sessions
    return indexes && ((feeds: Tensors) => this.#run(indexes, feeds))
  }

  /** `results`: tensors to write answers into; default: new ones for all outputs. */
  #run(session: ort.InferenceSession, feeds: Tensors, results?: Tensors): Promise<Tensors> {
    const read = chosen(feeds, session.inputNames)
    const run = () => (results ? session.run(read, results) : session.run(read)) as Promise<Tensors>
    return active(this.#setup.shared.activity, this.#setup.thread, run)
  }

  #inputs(rows: number, sparse: Int32Array, dense: Float32Array): Tensors {
    const { inputs } = this.#plan
    const { sparseFields, denseFields } = this.#setup.examples
    return {
      ...(inputs.sparse && { [inputs.sparse]: tensor(sparse, [rows, sparseFields]) }),
      ...(inputs.dense && { [inputs.dense]: tensor(dense, [rows, denseFields]) }),
    }
  }

  /**
   * Masks of dropout layers: they follow from the step and the place in it, so that the number of threads changes none.
   */
  #draw(rows: number, step: StepBounds, number: number): Tensors {
    const { thread, threads, seed } = this.#setup
    const before = partOf(step, thread, threads).start - step.start
    const masks: Tensors = {}
    this.#plan.masks.forEach(({ name, dims, rate }, i) => {
      const width = product(dims)
      const values = this.#masks[i]!.subarray(0, rows * width)
      drawMask(values, rate, murmur3(`${name} ${number}`, seed), before * width)
      masks[name] = tensor(values, [rows, ...dims])
    })
    return masks
  }

  #items({ rows, sparse }: StepRows): Tensors {
    const { sparseFields } = this.#setup.examples
    const found: Tensors = {}
    for (const items of this.#plan.items) {
      const places = placesOf(sparse, rows, sparseFields, items)
      found[items.name] = tensor(places, [places.length])
    }
    return found
  }

  #pass(elapsed: number): void {
    for (const decay of this.#decays) if (decay) decay.elapsed = elapsed
  }

  #update(rows: readonly RowGradients[][], scale: StepScale): void {
    const { trained, statistics, lookUps } = this.#plan
    const { weights, gradients } = this.memory
    if (scale.kept !== 1) this.#decay(scale.kept)
    this.memory.step(trained, scale)
    for (const { offset, size, momentum } of statistics)
      for (let i = offset; i < offset + size; i++) weights[i] = weights[i]! * momentum + gradients[i]! * (1 - momentum)
    for (const updates of this.#updates) updates?.sums.begin()
    for (const lists of rows)
      lookUps.forEach(({ table, gradient, padding }, i) => {
        if (gradient) this.#updates[table]!.sums.add(lists[i]!.ids, lists[i]!.gradients, padding)
      })
    for (const updates of this.#updates) updates?.step(scale)
  }

  /** Biases and scales of normalisations are not pulled towards 0. */
  #decay(kept: number): void {
    const { weights } = this.memory
    for (const { offset, size, dims } of this.#plan.parameters)
      if (dims.length > 1) for (let i = offset; i < offset + size; i++) weights[i] = weights[i]! * kept
  }
}

const chosen = (tensors: Tensors, names: readonly string[]): Tensors =>
  Object.fromEntries(names.map((name) => [name, tensors[name]!]))
