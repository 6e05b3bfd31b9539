import { planNames } from '../compile/sides/tensor-names.ts'
import type { Batch } from '../contracts/engine.ts'
import { type LiveTables, type Overlay, type OverlayColumn, rowOf } from '../contracts/live-tables.ts'
import type { Feed } from './feed.ts'

/** A column of ids, with its changed ones. */
interface PlacedColumn {
  column: number
  offset: number
  changed: OverlayColumn
}

/** The inputs that a plan with live tables has beside the saved graph's: the overlays, and each id's row in its overlay. */
export class LiveInputs {
  /** The overlays, by name; replaced between calls. */
  readonly overlays: Record<string, Feed> = {}
  readonly #live: LiveTables
  #overlay: Overlay | undefined
  #columns: PlacedColumn[] = []
  /** Rows in the overlays, [rows, inputWidth]; columns that are not live stay 0. */
  #slots = new Int32Array(0)

  constructor(live: LiveTables) {
    this.#live = live
    for (const { overlay, width } of live.tables)
      this.overlays[overlay] = { data: new Float32Array(width), dims: [1, width] }
  }

  get number(): number {
    return this.#overlay?.number ?? 0
  }

  /** Takes an overlay over, for the calls from now on. Throws RangeError, with the former one in place, where memory is missing. */
  set(overlay: Overlay): void {
    const feeds = this.#live.tables.map(({ overlay: name, width }, i) => {
      // The engine accepts no memory that threads share.
      const rows = new Float32Array(overlay.tables[i]!.rows)
      return [name, { data: rows, dims: [rows.length / width, width] }] as const
    })
    const columns = this.#live.tables.flatMap(({ columns }, i) =>
      columns.flatMap(({ column, offset }) => {
        const changed = overlay.tables[i]!.columns.find((one) => one.column === column)!
        return changed.count === 0 ? [] : [{ column, offset, changed }]
      }),
    )
    for (const [name, feed] of feeds) this.overlays[name] = feed
    this.#overlay = overlay
    this.#columns = columns
    this.#slots = new Int32Array(0)
  }

  /** The batch with each id's row in its overlay, 0 for none; what it answers lives until the next call. */
  complete(batch: Batch): Batch {
    const { input, inputWidth: width } = this.#live
    const size = batch.rows * width
    if (this.#slots.length < size) this.#slots = new Int32Array(size)
    const slots = this.#slots.subarray(0, size)
    const ids = batch.inputs[input]!
    for (const { column, offset, changed } of this.#columns)
      for (let at = column; at < size; at += width) slots[at] = rowOf(changed, ids[at]! - offset)
    return { ...batch, inputs: { ...batch.inputs, [planNames.slots]: slots } }
  }
}
