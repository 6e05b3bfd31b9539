import type { Violation } from '../../base/errors.ts'
import type { PartFiles, RowData, RowsSpec, Split } from '../../schemas/rows-spec.ts'
import type { FilePart, OwnPart } from './source.ts'
import { type Parts, type Shares, type SplitColumns, splitRows } from './split.ts'

const ownParts: readonly OwnPart[] = ['validation', 'test']
const partNames = ['train', 'validation', 'test'] as const
const leastRows = (part: keyof Parts) => (part === 'train' ? 2 : 1)

interface SaysParts {
  data: RowData
  split?: Split | undefined
}

/** Whether the rows are parts: by a split, or by their files. */
export function hasParts({ data, split }: SaysParts): boolean {
  return split !== undefined || ownParts.some((part) => filesOf(data, part))
}

/** Contradictions in how a spec divides its rows. */
export function partProblems({ data, split }: SaysParts): Violation[] {
  const own = ownParts.filter((part) => filesOf(data, part))
  if (split === undefined) {
    if (own.length !== 1) return []
    const message = `is missing: \`data\` has files for ${own[0]}, but does not say which of the other rows ${own[0] === 'test' ? 'validate' : 'test'}`
    return [{ path: '/split', message }]
  }
  if (own.length === 2)
    return [{ path: '/split', message: 'has nothing to divide: `data` has files for validation and for test' }]
  const twice = own.filter((part) => split[part] !== undefined)
  if (twice.length > 0)
    return twice.map((part) => ({ path: `/split/${part}`, message: `is given by files of \`data\`: leave it out` }))
  const { train, validation, test } = sharesOf(split, data)
  const sum = train + validation + test
  if (Math.abs(sum - 1) <= 1e-9) return []
  const said = Object.entries({ train, validation, test }).flatMap(([part, share]) =>
    own.includes(part as OwnPart)
      ? []
      : `${part} ${share}${split[part as keyof Shares] === undefined ? ' (default)' : ''}`,
  )
  return [{ path: '/split', message: `fractions must sum to 1, not ${Number(sum.toFixed(9))}: ${said.join(', ')}` }]
}

/** Rows of the past are in histories alone. */
export function uselessPast({ data, history }: Pick<RowsSpec, 'data' | 'history'>): Violation[] {
  const useless = history === undefined && 'past' in data && data.past !== undefined
  return useless ? [{ path: '/data/past', message: 'has no effect without history' }] : []
}

/** Shares of the rows that the split divides, with defaults. */
function sharesOf(split: Split, data: RowData): Shares {
  const own = ownParts.some((part) => filesOf(data, part))
  const { train = own ? 0.8 : 0.6 } = split
  const [validation, test] = ownParts.map((part) => (filesOf(data, part) ? 0 : (split[part] ?? 0.2)))
  return { train, validation: validation!, test: test! }
}

/** Rows that have been read. */
export interface RowsOfParts extends SplitColumns {
  rows: number
  /** The number of them that come from files of a part; see `Source.ownRows`. */
  own: Record<FilePart, number>
}

/** Divides the rows. Parts of too few rows are added to `problems`. */
export function partsOf({ data, split }: SaysParts, read: RowsOfParts, problems: Violation[]): Parts {
  const { rows, own, times, groups } = read
  const divided = rows - own.validation - own.test - own.past
  const all = range(0, divided)
  const none = new Int32Array()
  if (!hasParts({ data, split })) return { train: none, validation: none, test: all }
  const shared = { times: times?.subarray(0, divided), groups }
  const parts = split
    ? splitRows(split, sharesOf(split, data), divided, shared)
    : { train: all, validation: none, test: none }
  let first = divided
  for (const part of ownParts) {
    const files = filesOf(data, part)
    if (files) parts[part] = lastRows(files, first, own[part])
    first += own[part]
  }
  for (const part of partNames) {
    const least = leastRows(part)
    const found = parts[part].length
    if (found >= least) continue
    const byFiles = part !== 'train' && filesOf(data, part) !== undefined
    const path = byFiles ? `/data/${part}` : split ? `/split/${part}` : '/data'
    const from = byFiles ? own[part] : divided
    const why = split && !byFiles ? reasonOfFew(split, shared.times) : ''
    problems.push({ path, message: `has ${found} of ${from} rows; it needs ${least}${why}` })
  }
  return parts
}

/** Rows that are in a part, in order; with rows in no part, fewer than all. */
export function rowsInParts({ train, validation, test }: Parts, rows: number): Int32Array {
  const inside = new Uint8Array(rows)
  for (const part of [train, validation, test]) for (const row of part) inside[row] = 1
  return range(0, rows).filter((row) => inside[row] === 1)
}

function filesOf(data: RowData, part: OwnPart): PartFiles | undefined {
  return 'generator' in data || 'log' in data ? undefined : data[part]
}

/** The last rows of `rows` ones, as a split by order takes them. */
function lastRows({ last }: PartFiles, first: number, rows: number): Int32Array {
  let skipped = 0
  if (last !== undefined) while (skipped < rows && skipped / rows < 1 - last) skipped++
  return range(first + skipped, first + rows)
}

function range(from: number, end: number): Int32Array {
  const rows = new Int32Array(end - from)
  for (let i = 0; i < rows.length; i++) rows[i] = from + i
  return rows
}

/** Why a part may have few of many rows. */
function reasonOfFew(split: Split, times: Float64Array | undefined): string {
  if (split.by === 'group') return ': rows of one group stay together'
  if (split.by !== 'time') return ''
  const equal = times?.every((time) => time === times[0])
  return equal
    ? `: all rows have the same ${split.column}, ${times![0]}`
    : `: rows of the same ${split.column} stay together`
}

/**
 * Takes rows that are left out from their parts; `rows` ascend. A part that had rows and has too few then is added to
 * `problems`.
 */
export function leaveOut(
  parts: Parts,
  rows: readonly number[],
  problems: Violation[],
): { parts: Parts; leftOut: Parts } {
  const isLeft = new Set(rows)
  const leftOut = { train: new Int32Array(), validation: new Int32Array(), test: new Int32Array() } as Parts
  if (rows.length === 0) return { parts, leftOut }
  const kept = { ...leftOut }
  for (const part of partNames) {
    kept[part] = parts[part].filter((row) => !isLeft.has(row))
    leftOut[part] = parts[part].filter((row) => isLeft.has(row))
    const left = leftOut[part].length
    if (left === 0 || kept[part].length >= leastRows(part)) continue
    const what = parts.train.length === 0 ? 'rows' : `${part} rows`
    const message = `has ${kept[part].length} ${what} with keys that the tables have; ${left} more are left out, as a server does not answer them`
    problems.push({ path: '/data', message })
  }
  return { parts: kept, leftOut }
}
