import type { Precision } from '../../contracts/compiled-plan.ts'

/*
 * Finds keys by their hash: open addressing, at most half full, so that linear probing finds a miss in 2.5 steps on
 * average. A place has two int32: slot + 1 (0: an empty place) and hash. Keys are compared elsewhere; several slots may
 * have the same hash.
 */

/** The least table, places. */
const fewestPlaces = 16
/** A slot is an int32, and the table an array of at most 2^30 elements. */
export const mostSlots = 2 ** 28

/** Places for this many slots: the least power of 2 that leaves half of them empty. */
export function placesFor(slots: number): number {
  return Math.max(fewestPlaces, 2 ** (32 - Math.clz32(Math.max(1, slots) * 2 - 1)))
}

/** An empty table. */
export function emptyIndex(slots: number): Int32Array {
  return new Int32Array(2 * placesFor(slots))
}

export function insert(index: Int32Array, hash: number, slot: number): void {
  const mask = index.length / 2 - 1
  let place = hash & mask
  while (index[place * 2] !== 0) place = (place + 1) & mask
  index[place * 2] = slot + 1
  index[place * 2 + 1] = hash
}

/**
 * The first place from `place` on whose slot has that hash; −1 where there is none, also in a table without an empty
 * place, which only a wrong file has. The search begins at `firstPlace`, and goes on after a place that was found.
 */
export function nextPlace(index: Int32Array, hash: number, place: number): number {
  const mask = index.length / 2 - 1
  for (let at = place & mask, left = mask; left >= 0; left--, at = (at + 1) & mask) {
    if (index[at * 2] === 0) return -1
    if (index[at * 2 + 1] === hash) return at
  }
  return -1
}

/** The slot at a place that holds one. */
export function slotAt(index: Int32Array, place: number): number {
  return index[place * 2]! - 1
}

/** The same slots in a table for twice as many. */
export function grown(index: Int32Array): Int32Array {
  const larger = new Int32Array(index.length * 2)
  for (let i = 0; i < index.length; i += 2) if (index[i] !== 0) insert(larger, index[i + 1]!, index[i]! - 1)
  return larger
}

/** Whether a table read from a file can be searched: it has a place for each of the `rows` slots, and an empty one. */
export function isSound(index: Int32Array, rows: number): boolean {
  if (index.length !== 2 * placesFor(rows)) return false
  let taken = 0
  for (let i = 0; i < index.length; i += 2) {
    const slot = index[i]! - 1
    if (slot < -1 || slot >= rows) return false
    if (slot >= 0) taken++
  }
  return taken === rows
}

/** The file beside a plan that describes its catalogue and names the folder of its files. */
export function descriptionFile(precision: Precision): string {
  return `catalogue-${precision}.json`
}

/** Files of a catalogue. */
export const catalogueFiles = {
  graph: 'catalogue.onnx',
  rows: 'rows.bin',
  index: 'index.bin',
} as const

/** Tensors of the catalogue's graph. */
export const catalogueTensors = { slots: 'slots', stored: 'stored' } as const
