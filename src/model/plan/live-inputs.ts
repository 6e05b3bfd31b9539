import { eachRow, type LiveTable, type LiveTables, type Overlay, rowsOfPage } from '../contracts/live-tables.ts'
import type { Feed } from './feed.ts'

/** The inputs that a plan with live tables has beside the saved graph's: of each table its overlay, and the index of rows in it. */
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

  /** Takes an overlay over, for the calls from now on. Throws RangeError, with the former one in place, where memory is missing. */
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
