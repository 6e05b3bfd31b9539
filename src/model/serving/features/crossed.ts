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
  return crossed.flatMap(({ name, of }, index) =>
    // A name that is used twice is a problem of its own.
    (known.has(name) ? [] : of).flatMap((part, i): Violation[] => {
      const message = problemOf(part, name, known, names)
      return message === undefined ? [] : [{ path: `/${index}/of/${i}`, message }]
    }),
  )
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
  const sparse = [...known.values()].flatMap((field) => (hasOneId(field) ? [field.name] : []))
  if (field === undefined) return notAField(part, sparse)
  if (hasOneId(field)) return undefined
  const what = field.list === undefined ? field.kind : 'a list'
  return `${JSON.stringify(part)} is ${what === 'vector' ? 'a vector' : what}: only fields with one id can be crossed`
}

/** Whether each row has exactly one id of a field. */
function hasOneId({ kind, list }: Part): boolean {
  return kind !== 'numeric' && kind !== 'vector' && list === undefined
}

/** A column of ids that a crossed field is made of. */
export interface CrossedPart {
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

/** A crossed field's column. */
export interface CrossedColumn {
  /** Its first id, and their number. */
  offset: number
  ids: number
  hashed: boolean
  field: Pick<CrossedField, 'seed'>
  parts: readonly CrossedPart[]
}

/**
 * Computes the ids of crossed fields for rows [first, end) from the ids of their parts, in place. `sparse`: int32
 * [rows, width], the crossed fields' columns last.
 */
export function fillCrossed(
  crossed: readonly CrossedColumn[],
  sparse: Int32Array,
  width: number,
  first: number,
  end: number,
): void {
  crossed.forEach(({ offset, ids, hashed, field: { seed }, parts }, i) => {
    const column = width - crossed.length + i
    for (let start = first * width; start < end * width; start += width) {
      let id = hashed ? seed | 0 : 0
      for (const part of parts) {
        const value = sparse[start + part.column]! - part.offset
        id = hashed ? addBlock(id, value) : id * part.ids + value
      }
      sparse[start + column] = offset + (hashed ? endHash(id, parts.length) % ids : id)
    }
  })
}

/** Widens rows in place from `narrow` columns to `width`; the last columns of each hold anything. */
export function widenRows(sparse: Int32Array, rows: number, narrow: number, width: number): void {
  for (let row = rows - 1; row > 0; row--) sparse.copyWithin(row * width, row * narrow, (row + 1) * narrow)
}
