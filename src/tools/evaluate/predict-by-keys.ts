import { ModelError, type Violation } from '../../base/errors.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import { wrongKey } from '../data/joined-source.ts'
import type { PredictedRows } from './predictor.ts'
import { RowError, rowErrorOf, unescaped } from './row-error.ts'

type Columns = Record<string, FeatureValue[]>

/** An entity by whose keys a service may be asked. */
export interface KeyedEntity {
  key: string
  /** Whether requests with a key that its table lacks are refused. */
  refuses: boolean
}

/**
 * Asks a service for rows that may have keys in place of features. A row without a key is asked for without it, and
 * rows that are refused for an unknown key are left out, so that the others have answers. Rejects with a RowError for a
 * row that is refused for another reason, and as `ask`.
 */
export async function predictByKeys(
  columns: Columns,
  entities: readonly KeyedEntity[],
  ask: (columns: Columns) => Promise<PredictedRows>,
): Promise<PredictedRows> {
  const rows = Object.values(columns)[0]?.length ?? 0
  const keys = entities.filter(({ key }) => Object.hasOwn(columns, key))
  for (const { key } of keys) {
    const wrong = columns[key]!.findIndex((value) => typeof value === 'number' && !Number.isSafeInteger(value))
    if (wrong >= 0) throw new RowError(wrong, wrongKey(key))
  }
  const merged = new MergedRows(rows)
  for (const group of groupsOf(columns, keys, rows)) {
    const lacking = keys.filter(({ key }) => columns[key]![group[0]!] === null).map(({ key }) => key)
    const refusing = new Set(keys.flatMap(({ key, refuses }) => (refuses ? [key] : [])))
    const names = Object.keys(columns).filter((name) => !lacking.includes(name))
    await askFor(columns, names, group, refusing, ask, merged)
  }
  return merged.answer()
}

/** Rows that lack the same keys. */
function groupsOf(columns: Columns, keys: readonly KeyedEntity[], rows: number): number[][] {
  const groups = new Map<string, number[]>()
  for (let row = 0; row < rows; row++) {
    const lacking = keys.map(({ key }) => (columns[key]![row] === null ? 1 : 0)).join('')
    const group = groups.get(lacking)
    if (group === undefined) groups.set(lacking, [row])
    else group.push(row)
  }
  return [...groups.values()]
}

/** Asks for `rows`, and again without those that are refused for their keys, until the others have answers. */
async function askFor(
  columns: Columns,
  names: readonly string[],
  rows: readonly number[],
  refusing: ReadonlySet<string>,
  ask: (columns: Columns) => Promise<PredictedRows>,
  merged: MergedRows,
): Promise<void> {
  let asked = rows
  while (asked.length > 0) {
    // A request has a column at least; `id` is one of any model.
    const given =
      names.length > 0 ? names.map((name) => [name, asked.map((row) => columns[name]![row]!)]) : [['id', asked]]
    try {
      merged.take(asked, await ask(Object.fromEntries(given)))
      return
    } catch (error) {
      if (!(error instanceof ModelError) || error.problems === undefined) throw error
      const refused = refusedRows(error.problems, refusing)
      if (refused.size === 0) {
        const wrong = rowErrorOf(error.problems)
        throw wrong === undefined ? error : new RowError(asked[wrong.row]!, wrong.message)
      }
      asked = asked.filter((_, i) => !refused.has(i))
    }
  }
}

/** The rows with problems of keys: `/candidates/ad_id/17` is row 17. */
function refusedRows(problems: readonly Violation[], refusing: ReadonlySet<string>): Set<number> {
  const rows = problems.flatMap(({ path }) => {
    const [, form, key, row, ...rest] = path.split('/')
    return form === 'candidates' && rest.length === 0 && refusing.has(unescaped(key ?? '')) ? [Number(row)] : []
  })
  return new Set(rows)
}

/** Answers to some rows at a time, as one to all. Those without an answer are left out. */
class MergedRows {
  readonly #rows: number
  readonly #answered: Uint8Array
  readonly #merged: PredictedRows = { tasks: {}, raw: {}, unknown: [], gates: undefined }
  readonly #unknown: (PredictedRows['unknown'][number] | undefined)[]

  constructor(rows: number) {
    this.#rows = rows
    this.#answered = new Uint8Array(rows)
    this.#unknown = new Array(rows)
  }

  take(rows: readonly number[], { tasks, raw, unknown, gates, leftOut = [] }: PredictedRows): void {
    this.#takeNumbers(this.#merged.tasks, rows, tasks)
    this.#takeNumbers(this.#merged.raw, rows, raw)
    for (const [task, weights] of Object.entries(gates ?? {})) {
      this.#merged.gates ??= {}
      this.#merged.gates[task] ??= new Array(this.#rows)
      const merged = this.#merged.gates[task] as ArrayLike<number>[]
      for (const [i, row] of rows.entries()) merged[row] = weights[i]!
    }
    for (const [i, row] of rows.entries()) {
      this.#unknown[row] = unknown[i]
      this.#answered[row] = 1
    }
    for (const i of leftOut) this.#answered[rows[i]!] = 0
  }

  #takeNumbers(
    merged: Record<string, ArrayLike<number>>,
    rows: readonly number[],
    columns: Record<string, ArrayLike<number>>,
  ): void {
    for (const [task, values] of Object.entries(columns)) {
      merged[task] ??= new Float64Array(this.#rows).fill(Number.NaN)
      const column = merged[task] as Float64Array
      for (const [i, row] of rows.entries()) column[row] = values[i]!
    }
  }

  answer(): PredictedRows {
    const leftOut: number[] = []
    for (let row = 0; row < this.#rows; row++) if (this.#answered[row] === 0) leftOut.push(row)
    return { ...this.#merged, unknown: this.#unknown, leftOut }
  }
}
