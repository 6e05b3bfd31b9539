import { reasonOf, type Violation } from '../../base/errors.ts'
import { filesOf } from '../../model/contracts/compiled-plan.ts'
import type { Batch } from '../../model/contracts/engine.ts'
import type { CataloguePlan } from '../../model/engines/catalogue/read-catalogue.ts'
import { sessionOptions } from '../../model/engines/onnx/onnx.ts'
import { keyWordsOf, writeKeys } from '../../model/engines/plan/candidates.ts'
import { openVariant } from '../../model/engines/plan/open-variant.ts'
import { planNames } from '../../model/graph/sides/tensor-names.ts'
import { fillCrossed } from '../../model/serving/features/crossed.ts'
import { encoderOf } from '../../model/serving/features/encoder.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { toBatch } from '../../model/serving/prediction/bindings.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { createListsEncoder } from '../data/encode-lists.ts'
import type { OpenRows } from '../data/entity-tables.ts'
import { unknownColumn } from '../data/expression.ts'
import type { ListValue } from '../data/list-column.ts'
import { createReaders } from '../data/readers.ts'
import { referenceProblems } from '../data/references.ts'
import { RowProblems, SpecError } from '../data/source.ts'
import { predictorFields, readingsOfModel } from '../evaluate/model-fields.ts'

/** Candidates of one batch: bounds the memory, and is enough for the encoder to be as fast as it can. */
export const batchRows = 2048

/** Candidates of a file, encoded as those of a request. */
export interface CandidateFile {
  /** Fields of candidates that the file has no column for: all candidates have their defaults. */
  defaults: string[]
  /**
   * The candidates; columns of the context and of cross features hold anything. Rejects with a SpecError that lists the
   * rows that a request could not contain either.
   */
  batches(): AsyncIterable<Batch>
  /** Share of the file that has been read, 0 to 1, about; undefined if nothing says so. */
  progress(): number | undefined
  /** Candidates that were left out so far: a server does not answer for their keys. */
  leftOut(): number
  /** Lets go of tables: no batch may be asked for afterwards. */
  close(): void
}

/**
 * Opens candidates: one column per field of the candidate side, by its name; other columns are not read. Rejects with a
 * SpecError where the column of a field without a default is lacking. `title`: of the file or table, for messages.
 */
export function openCandidates({ source, joined, close }: OpenRows, title: string, manifest: Manifest): CandidateFile {
  const { layout } = encoderOf(manifest)
  const names = source.columns.map(({ name }) => name)
  const unusable = source.unusable ?? []
  const candidateFields = manifest.features.filter(({ side }) => side === 'candidate')
  const present = candidateFields.filter(({ name }) => names.includes(name))
  const absent = candidateFields.filter(({ name }) => !names.includes(name))
  const problems = absent.flatMap(({ name, missing }): Violation[] => {
    const needed = missing === 'error' || unusable.some((column) => column.name === name)
    return needed ? [{ path: `/${name}`, message: unknownColumn(name, names, unusable) }] : []
  })
  if (problems.length === 0 && present.length === 0)
    problems.push({
      path: '',
      message: `has none of the columns ${candidateFields.map(({ name }) => name).join(', ')}: those are the fields of candidates`,
    })
  const fields = predictorFields(manifest.features).filter(({ name }) => present.some((field) => field.name === name))
  const readings = readingsOfModel(fields, { fields: [] }).map((field) => ({ ...field, path: `/${field.name}` }))
  problems.push(...referenceProblems({}, readings, source))
  if (problems.length > 0) throw new SpecError(title, problems)

  const readers = createReaders({ tasks: [] }, readings, source.columns)
  const readCell = readers.fields.map(({ read }, i) => ({ read, slot: layout.byName.get(readings[i]!.name)! }))
  // A field without a column: the encoded default. Lists have theirs with the others.
  const constant = absent.map(({ name }) => layout.byName.get(name)!).filter(({ group }) => group === undefined)

  let leftOut = 0
  async function* batches(): AsyncGenerator<Batch> {
    const rowProblems = new RowProblems()
    /** Rows that were read, and those of the batch. */
    let read = 0
    let count = 0
    const places: number[] = []
    let arrays = emptyRows(layout)
    const lists = collectLists(layout, (name, row, message) =>
      rowProblems.add(`/${name}`, `${source.place(places[row]!)}: ${message}`),
    )
    const finish = (): Batch => {
      lists.encode(count, arrays)
      const found = rowProblems.list()
      if (found.length > 0) throw new SpecError(title, found)
      const [rows, { sparse, dense }] = [count, arrays]
      count = 0
      arrays = emptyRows(layout)
      const [sparseWidth, denseWidth] = [layout.sparse.length, layout.dense.length]
      fillCrossed(layout.crossed, sparse, sparseWidth, 0, rows)
      return toBatch(manifest, {
        rows,
        sparse: sparse.subarray(0, rows * sparseWidth),
        dense: dense.subarray(0, rows * denseWidth),
      })
    }
    for await (const row of source.rows(readers.columns)) {
      const place = read++
      if (joined?.leftOut.at(-1) === place) {
        leftOut++
        continue
      }
      places[count] = place
      for (const { read, slot } of readCell) {
        const code = encoded(() => {
          const value = read(row) ?? undefined
          if (slot.group === undefined) return slot.encoder.encode(value)
          lists.set(slot.name, count, value as ListValue | undefined)
          return undefined
        })
        if (typeof code === 'number') store(arrays, count, slot, code)
        else if (code !== undefined && !rowProblems.full)
          rowProblems.add(`/${slot.name}`, `${source.place(place)}: ${slot.name} ${withoutName(code, slot.name)}`)
      }
      for (const slot of constant) store(arrays, count, slot, slot.encoder.missing as number)
      count++
      if (count === batchRows) {
        yield finish()
        // A generator never waits: this lets an interrupt through.
        await new Promise(setImmediate)
      }
    }
    if (count > 0) yield finish()
  }

  const defaults = absent.map(({ name }) => name)
  return { defaults, batches, progress: () => source.progress(), leftOut: () => leftOut, close }
}

/** Rows of a batch. */
function emptyRows(layout: Layout): Rows {
  const sparse = new Int32Array(batchRows * layout.sparse.length)
  // Any ids of their fields, for columns that are not the candidate's.
  const plain = Int32Array.from(layout.sparse, ({ plain }) => plain)
  for (let row = 0; row < batchRows; row++) sparse.set(plain, row * plain.length)
  return {
    sparse,
    dense: new Float32Array(batchRows * layout.dense.length),
    widths: { sparse: layout.sparse.length, dense: layout.dense.length },
  }
}

/** Collects the candidates' lists and vectors of a batch, which are encoded together. */
function collectLists(layout: Layout, refuse: (field: string, row: number, message: string) => void) {
  const groups = layout.groups.filter(({ members }) => members[0]!.encoder.field.side === 'candidate')
  const lists = new Map<string, FeatureValue[]>()
  const cells = layout.slots.map(({ name }) => ({ at: (row: number) => lists.get(name)?.[row] ?? null }))
  const encode = createListsEncoder(
    layout,
    cells,
    (field, row, message) => refuse(layout.slots[field]!.name, row, message),
    groups,
  )
  return {
    set(field: string, row: number, list: ListValue | undefined): void {
      const values = lists.get(field) ?? []
      lists.set(field, values)
      values[row] = asRequested(list)
    },
    /** Writes the lists of the batch's rows, and forgets them. */
    encode(rows: number, arrays: Rows): void {
      const all = Int32Array.from({ length: rows }, (_, row) => row)
      if (groups.length > 0) encode(all, 0, rows, arrays)
      lists.clear()
    },
  }
}

/** A list as requests give it. */
function asRequested(list: ListValue | undefined): FeatureValue {
  if (list === undefined) return null
  const values = [...list.values]
  return list.weights ? { values, weights: [...list.weights] } : values
}

/** Row-major. */
interface Rows {
  sparse: Int32Array
  dense: Float32Array
  widths: { sparse: number; dense: number }
}

function store(rows: Rows, row: number, slot: { sparse: boolean; column: number }, code: number): void {
  if (slot.sparse) rows.sparse[row * rows.widths.sparse + slot.column] = code
  else rows.dense[row * rows.widths.dense + slot.column] = code
}

/** The message of an error describes a wrong cell, as encoders do. */
function encoded(encode: () => number | string | undefined): number | string | undefined {
  try {
    return encode()
  } catch (error) {
    return reasonOf(error)
  }
}

/** Readers name the field, encoders do not. */
function withoutName(message: string, name: string): string {
  return message.startsWith(`${name} `) ? message.slice(name.length + 1) : message
}

/** Computes what a plan keeps of candidates, as a worker would. */
export interface CandidateParts {
  /** int32 words of a candidate's key. */
  keyWords: number
  /** The keys [batch.rows, keyWords] of a batch's candidates. */
  keys(batch: Batch): Int32Array
  /** Computes, for these rows of a batch, the parts of all kept layers, one after the other: [rows, width]. */
  compute(batch: Batch, rows: Int32Array): Promise<Float32Array>
  close(): Promise<void>
}

/** Opens the candidate encoder of a plan that has one. Rejects with MODEL_FAILED if its file can't be opened. */
export async function openCandidateParts(plan: CataloguePlan): Promise<CandidateParts> {
  const { candidate_encoder, layers } = filesOf(plan)
  const encoder = await openVariant(plan.folder, candidate_encoder!, sessionOptions(1))
  const keyWords = keyWordsOf(encoder)
  const kept = layers.flatMap(({ kept, width }, layer) => (kept ? [{ name: planNames.part(layer), width }] : []))
  const total = kept.reduce((sum, { width }) => sum + width, 0)
  return {
    keyWords,
    keys(batch) {
      const keys = new Int32Array(batch.rows * keyWords)
      writeKeys(encoder.rows, batch, keys, keyWords)
      return keys
    },
    async compute(batch, rows) {
      const results = await encoder.run(batch, [{ rows }])
      const values = new Float32Array(rows.length * total)
      let column = 0
      for (const { name, width } of kept) {
        const part = results[name]!.data as Float32Array
        for (let row = 0; row < rows.length; row++)
          values.set(part.subarray(row * width, (row + 1) * width), row * total + column)
        column += width
      }
      return values
    },
    close: () => encoder.session.release(),
  }
}
