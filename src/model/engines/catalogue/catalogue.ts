import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { type HashWords, hashWords } from '../../../base/hash.ts'
import { onnxruntime } from '../../../base/onnxruntime.ts'
import { type CatalogueStats, catalogueBytes, type ReadyCatalogue } from '../../contracts/catalogue.ts'
import { catalogueFiles, catalogueTensors, nextPlace, slotAt } from './key-index.ts'
import { shapeOf } from './read-catalogue.ts'
import { createRowReader, type StoredRows } from './row-format.ts'

/** Receives a candidate, that of `rows[index]`: `load` writes its parts to `target` from `at` on. */
export type TakeRow = (index: number, load: (target: Float32Array, at: number) => void) => void

/** A catalogue that is open on this thread. One call at a time. */
export interface Catalogue {
  /** Whether it may have the candidate in that row of `keys` [rows, keyWords]: it has one of the same hash. */
  mayHave(keys: Int32Array, row: number): boolean
  /**
   * Takes the candidates in these rows of `keys` that it has; keys are compared whole. Returns the indexes, in `rows`,
   * of those that it does not have.
   */
  fetch(keys: Int32Array, rows: Int32Array, take: TakeRow): Promise<number[]>
  stats(): CatalogueStats
  /** Forgets the hits. */
  reset(): void
  close(): Promise<void>
}

/** A candidate that is sought: its index in `rows`, its hash, and the place of the slot that is tried. */
interface Sought {
  index: number
  hash: number
  place: number
}

/** Opens a catalogue. Rejects with ONNX Runtime's error. `hash`: tests force collisions by it. */
export async function openCatalogue(
  { folder, description, index }: ReadyCatalogue,
  options: InferenceSession.SessionOptions,
  hash: HashWords = hashWords,
): Promise<Catalogue> {
  const { keyWords, rows } = description
  const readRows = createRowReader(shapeOf(description))
  // There is nothing to optimise, and tables must stay where they are mapped.
  const session = await onnxruntime.InferenceSession.create(join(folder, catalogueFiles.graph), {
    ...options,
    graphOptimizationLevel: 'disabled',
  })
  const bytes = catalogueBytes(description)
  const hashAt = (keys: Int32Array, row: number) => hash(keys, row * keyWords, keyWords)
  let hits = 0

  async function read(slots: Int32Array): Promise<StoredRows> {
    const feeds = { [catalogueTensors.slots]: new onnxruntime.Tensor('int32', slots, [slots.length]) }
    const results = await session.run(feeds, { logSeverityLevel: 4 })
    return readRows(results[catalogueTensors.stored]!.data as Int32Array)
  }

  return {
    mayHave(keys, row) {
      const own = hashAt(keys, row)
      return nextPlace(index, own, own) >= 0
    },
    async fetch(keys, wanted, take) {
      const missing: number[] = []
      let sought: Sought[] = []
      const seek = (to: Sought[], index_: number, own: number, from: number) => {
        const place = nextPlace(index, own, from)
        if (place < 0) missing.push(index_)
        else to.push({ index: index_, hash: own, place })
      }
      wanted.forEach((row, i) => {
        const own = hashAt(keys, row)
        seek(sought, i, own, own)
      })
      // More than once only where several candidates have the same hash.
      while (sought.length > 0) {
        const found = await read(Int32Array.from(sought, ({ place }) => slotAt(index, place)))
        const others: Sought[] = []
        for (const [at, { index: i, hash: own, place }] of sought.entries()) {
          if (found.hasKey(at, keys, wanted[i]!)) {
            take(i, (target, to) => found.load(at, target, to))
            hits++
          } else seek(others, i, own, place + 1)
        }
        sought = others
      }
      return missing
    },
    stats: () => ({ hits, rows, bytes }),
    reset() {
      hits = 0
    },
    close: () => session.release(),
  }
}
