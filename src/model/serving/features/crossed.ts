import type { Violation } from '../../../base/errors.ts'
import { addBlock, endHash } from '../../../base/hash.ts'
import { notAField } from '../../../base/names.ts'
import type { CrossedField, Side } from '../../../schemas/features.ts'

/** A field that a crossed field may name. */
interface Part {
  name: string
  side: Side
  kind: string
  list?: object | undefined
}

/** A crossed field depends on everything that its parts depend on. */
export function sideOf(parts: readonly Pick<Part, 'side'>[]): Side {
  const [first, ...others] = parts.map(({ side }) => side)
  return first !== undefined && others.every((side) => side === first) ? first : 'cross'
}

/** The sides of crossed fields made of these. */
export function crossedSides(
  crossed: readonly CrossedField[],
  fields: readonly Pick<Part, 'name' | 'side'>[],
): { kind: 'crossed'; side: Side }[] {
  return crossed.map(({ of }) => ({ kind: 'crossed', side: sideOf(fields.filter(({ name }) => of.includes(name))) }))
}

/** Problems of crossed fields among `fields`; paths are below the list of crossed fields. */
export function crossedProblems(crossed: readonly CrossedField[], fields: readonly Part[]): Violation[] {
  const known = new Map(fields.map((field) => [field.name, field]))
  const names = new Set(crossed.flatMap(({ name }) => (known.has(name) ? [] : [name])))
  return crossed.flatMap(({ name, of }, index) => {
    // A name that is used twice is a problem of its own.
    if (known.has(name)) return []
    const lists = of.filter((part) => known.get(part)?.list !== undefined)
    return of.flatMap((part, i): Violation[] => {
      const message = problemOf(part, name, known, names) ?? secondList(part, lists)
      return message === undefined ? [] : [{ path: `/${index}/of/${i}`, message }]
    })
  })
}

function secondList(part: string, [first, ...others]: readonly string[]): string | undefined {
  if (!others.includes(part)) return undefined
  return `${JSON.stringify(part)} is a list, as ${JSON.stringify(first)} is: one of the fields may be a list`
}

function problemOf(
  part: string,
  name: string,
  known: ReadonlyMap<string, Part>,
  crossed: ReadonlySet<string>,
): string | undefined {
  if (part === name) return 'is the field itself'
  if (crossed.has(part)) return `${JSON.stringify(part)} is crossed: name the fields that it is made of instead`
  const field = known.get(part)
  const sparse = [...known.values()].flatMap((field) => (hasIds(field) ? [field.name] : []))
  if (field === undefined) return notAField(part, sparse)
  if (hasIds(field)) return undefined
  return `${JSON.stringify(part)} is ${field.kind === 'vector' ? 'a vector' : field.kind}: only fields with ids can be crossed`
}

const hasIds = ({ kind }: Part): boolean => kind !== 'numeric' && kind !== 'vector'

/** The ids that a crossed field is made of. */
export interface CrossedPart {
  /** The first column of a list. */
  column: number
  /** Its first id, and their number. */
  offset: number
  ids: number
}

/** Number of ids of a crossed field that is made of these, and whether combinations share them by a hash. */
export function crossedIds(buckets: number, parts: readonly CrossedPart[]): { ids: number; hashed: boolean } {
  const combinations = parts.reduce((all, { ids }) => all * ids, 1)
  return { ids: Math.min(buckets, combinations), hashed: combinations > buckets }
}

/** A crossed field's columns: one, or those of a list. */
export interface CrossedColumn {
  /** The first of them. */
  column: number
  /** Its first id, and their number. */
  offset: number
  ids: number
  hashed: boolean
  field: Pick<CrossedField, 'seed'>
  parts: readonly CrossedPart[]
  /** Where one of the parts is a list: the first id is that of places without a value. */
  list?: CrossedList | undefined
}

interface CrossedList {
  /** Which of the parts is the list. */
  part: number
  /** Its columns, and the id of those without a value. */
  width: number
  padding: number
  /** Its place among the groups of the layout. */
  group: number
}

/**
 * Computes the ids of crossed fields for rows [first, end) from the ids of their parts, in place; of a list, one for
 * each of its values. `sparse`: int32 [rows, width].
 */
export function fillCrossed(
  crossed: readonly CrossedColumn[],
  sparse: Int32Array,
  width: number,
  first: number,
  end: number,
): void {
  for (const one of crossed) {
    if (one.list) {
      fillList(one, one.list, sparse, width, first, end)
      continue
    }
    const { column, offset, ids, hashed, parts, field } = one
    if (!hashed && parts.length === 2) {
      fillPairs(one, sparse, width, first, end)
      continue
    }
    const { seed } = field
    for (let start = first * width; start < end * width; start += width) {
      let id = hashed ? seed | 0 : 0
      for (const part of parts) {
        const value = sparse[start + part.column]! - part.offset
        id = hashed ? addBlock(id, value) : id * part.ids + value
      }
      sparse[start + column] = offset + (hashed ? endHash(id, parts.length) % ids : id)
    }
  }
}

/** The usual case: each combination of two parts has an id of its own. */
function fillPairs(
  { column, offset, parts }: CrossedColumn,
  sparse: Int32Array,
  width: number,
  first: number,
  end: number,
): void {
  const [{ column: left, offset: leftOffset }, { column: right, offset: rightOffset, ids }] = parts as [
    CrossedPart,
    CrossedPart,
  ]
  const origin = offset - rightOffset - leftOffset * ids
  for (let start = first * width; start < end * width; start += width)
    sparse[start + column] = origin + sparse[start + left]! * ids + sparse[start + right]!
}

/** Combines each value of a list with the other parts, as a single value. */
function fillList(
  { column, offset, ids, hashed, parts, field: { seed } }: CrossedColumn,
  { part: list, width: places, padding }: CrossedList,
  sparse: Int32Array,
  width: number,
  first: number,
  end: number,
): void {
  const values = parts[list]!.column
  for (let start = first * width; start < end * width; start += width)
    for (let place = 0; place < places; place++) {
      if (sparse[start + values + place] === padding) {
        sparse[start + column + place] = offset
        continue
      }
      let id = hashed ? seed | 0 : 0
      for (let p = 0; p < parts.length; p++) {
        const part = parts[p]!
        const value = sparse[start + part.column + (p === list ? place : 0)]! - part.offset
        id = hashed ? addBlock(id, value) : id * part.ids + value
      }
      sparse[start + column + place] = offset + 1 + (hashed ? endHash(id, parts.length) % (ids - 1) : id)
    }
}

/** Widens rows in place from `narrow` columns to `width`; the last columns of each hold anything. */
export function widenRows(sparse: Int32Array, rows: number, narrow: number, width: number): void {
  for (let row = rows - 1; row > 0; row--) sparse.copyWithin(row * width, row * narrow, (row + 1) * narrow)
}
