import type { InferenceSession } from 'onnxruntime-node'
import { type CompiledPlan, type Cost, onednnPrecision, type VariantFile } from '../../contracts/compiled-plan.ts'
import type { TakeTurn } from '../../contracts/engine.ts'
import { eachRow, type LiveTable, type LiveTables, type Overlay, rowsOfPage } from '../../contracts/live-tables.ts'
import { isCheaper } from './choose-variant.ts'
import { openVariant } from './open-variant.ts'
import type { Feed } from './packing.ts'
import { atLength } from './plan-cost.ts'
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

  /** Bytes of the files of the graphs. */
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

  /** Takes over a graph that was opened elsewhere; `bytes`: of its file. */
  add<V extends OpenVariant>(variant: V, bytes: number): V {
    this.#opened.set(variant, bytes)
    return variant
  }

  /**
   * The faster of two that compute the same graph, where lists have half of their places; the other is closed.
   * `beside`: the graph that computes the requests that it computes cheaper.
   */
  async faster<V extends OpenVariant | undefined>(
    variant: V,
    other: OpenVariant | undefined,
    beside?: OpenVariant,
  ): Promise<V | OpenVariant> {
    if (variant === undefined || other === undefined) return variant
    const [own, others, full] = [variant, other, beside].map((opened) => opened && atLength(opened.cost, 0.5))
    const [taken, left] = isCheaper(others!, own!, full && { beside: full }) ? [other, variant] : [variant, other]
    await this.release([left])
    return taken
  }

  async release(variants: Iterable<OpenVariant | undefined> = [...this.#opened.keys()]): Promise<void> {
    for (const variant of variants)
      if (variant !== undefined && this.#opened.delete(variant)) await variant.session.release()
  }
}

/**
 * The inputs that a plan with live tables has beside the saved graph's: of each table its overlay, and the index of
 * rows in it.
 */
export class LiveInputs {
  /** By name; replaced between calls. */
  readonly feeds: Record<string, Feed> = {}
  readonly #tables: { live: LiveTable; pages: Int32Array }[]
  #overlay: Overlay | undefined

  /** Throws RangeError where memory is missing. */
  constructor({ tables }: LiveTables) {
    this.#tables = tables.map((live) => {
      const pages = new Int32Array(Math.ceil(live.rows / rowsOfPage))
      for (let page = 0; page < pages.length; page++) pages[page] = -page * rowsOfPage
      this.feeds[live.pages] = { data: pages, dims: [pages.length] }
      this.#feed(live, new Float32Array(live.width), new Int32Array(rowsOfPage))
      return { live, pages }
    })
  }

  get number(): number {
    return this.#overlay?.number ?? 0
  }

  /**
   * Takes an overlay over, for the calls from now on. Throws RangeError, with the former one in place, where memory is
   * missing.
   */
  set(overlay: Overlay): void {
    const own = overlay.tables.map(({ rows, changed }) => ({
      // The engine accepts no memory that threads share.
      rows: new Float32Array(rows),
      // At most a page for each row, and the first, of unchanged rows.
      slots: new Int32Array((1 + changed.count) * rowsOfPage),
    }))
    this.#tables.forEach(({ live, pages }, i) => {
      const { rows, slots } = own[i]!
      if (this.#overlay) eachRow(this.#overlay.tables[i]!.changed, (row) => resetPage(pages, row))
      let end = rowsOfPage
      eachRow(overlay.tables[i]!.changed, (row, slot) => {
        const page = Math.floor(row / rowsOfPage)
        const first = page * rowsOfPage
        if (pages[page] === -first) {
          pages[page] = end - first
          end += rowsOfPage
        }
        slots[row + pages[page]!] = slot
      })
      this.#feed(live, rows, slots.subarray(0, end))
    })
    this.#overlay = overlay
  }

  #feed({ overlay, slots, width }: LiveTable, rows: Float32Array, places: Int32Array): void {
    this.feeds[overlay] = { data: rows, dims: [rows.length / width, width] }
    this.feeds[slots] = { data: places, dims: [places.length] }
  }
}

/** Makes a row's page one of unchanged rows: the first of all. */
function resetPage(pages: Int32Array, row: number): void {
  const page = Math.floor(row / rowsOfPage)
  pages[page] = -page * rowsOfPage
}
