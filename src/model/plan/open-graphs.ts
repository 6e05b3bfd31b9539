import type { InferenceSession } from 'onnxruntime-node'
import { type CompiledPlan, type Cost, onednnPrecision, type VariantFile } from '../contracts/compiled-plan.ts'
import type { TakeTurn } from '../contracts/engine.ts'
import { isCheaper } from './choose-variant.ts'
import type { LiveInputs } from './live-inputs.ts'
import { openVariant } from './open-variant.ts'
import type { OpenVariant } from './variant.ts'

/** The graphs of a plan that are open on this thread. */
export class OpenGraphs {
  readonly #plan: CompiledPlan
  readonly #options: InferenceSession.SessionOptions
  readonly #takeTurn: TakeTurn
  readonly #live: LiveInputs | undefined
  /** By variant, the bytes of its file. */
  readonly #opened = new Map<OpenVariant, number>()

  constructor(
    plan: CompiledPlan,
    options: InferenceSession.SessionOptions,
    takeTurn: TakeTurn,
    live: LiveInputs | undefined,
  ) {
    this.#plan = plan
    this.#options = options
    this.#takeTurn = takeTurn
    this.#live = live
  }

  /** Of the files of the graphs. */
  get bytes(): number {
    return [...this.#opened.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** Opens a graph in a turn of its own, if there is one and it is wanted. */
  async open(file: VariantFile | undefined, wanted = true, engine?: Cost['engine']): Promise<OpenVariant | undefined> {
    return file && wanted ? this.#takeTurn(() => this.openNow(file, engine)) : undefined
  }

  /** Opens a graph; oneDNN is the engine where the plan is of it, and no other is asked for. */
  async openNow(file: VariantFile, engine?: Cost['engine']): Promise<OpenVariant> {
    const { folder, description } = this.#plan
    const native = engine === 'onnx' ? undefined : onednnPrecision(this.#plan)
    const variant = await openVariant(folder, file, this.#options, this.#live?.feeds, native)
    this.#opened.set(variant, description.files[file.file]?.bytes ?? 0)
    return variant
  }

  /** The faster of two that compute the same graph; the other is closed. */
  async faster<V extends OpenVariant | undefined>(
    variant: V,
    other: OpenVariant | undefined,
  ): Promise<V | OpenVariant> {
    if (variant === undefined || other === undefined) return variant
    const [taken, left] = isCheaper(other.cost, variant.cost) ? [other, variant] : [variant, other]
    await this.release([left])
    return taken
  }

  async release(variants: Iterable<OpenVariant | undefined> = [...this.#opened.keys()]): Promise<void> {
    for (const variant of variants)
      if (variant !== undefined && this.#opened.delete(variant)) await variant.session.release()
  }
}
