import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { makeFolder, replaceFile } from '../../../base/files.ts'
import type { CatalogueDescription, ReadyCatalogue, RowPrecision } from '../../contracts/catalogue.ts'
import { filesOf } from '../../contracts/compiled-plan.ts'
import { planDigest, unfinished } from '../../graph/compile/plan-files.ts'
import { describeStored, readSealed, seal, unseal } from '../../graph/compile/stored-files.ts'
import { external } from '../../graph/ir/external-data.ts'
import { Graph } from '../../graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../graph/ir/onnx_pb.ts'
import { declare } from '../../graph/ir/tensor-shape.ts'
import { CandidateKeys } from './candidate-keys.ts'
import { catalogueFiles, catalogueTensors, descriptionFile } from './key-index.ts'
import { type CataloguePlan, catalogueFormat, keptWidths, shapeOf } from './read-catalogue.ts'
import { type RowShape, rowWords, writeRows } from './row-format.ts'

export interface CatalogueOptions {
  plan: CataloguePlan
  keyWords: number
  precision: RowPrecision
  /** ms since 1970 */
  now: number
  /** A catalogue of the same plan and precision, whose candidates the new one has as well. */
  base: ReadyCatalogue | undefined
}

/** Files that are left by an interrupted writer are removed after this time, ms. */
const staleAfter = 3600 * 1000

/**
 * Writes a catalogue beside a plan: in a folder of its own, which takes effect when it is complete. Methods reject with
 * MODEL_FAILED where the disk refuses; then `abort` leaves what was there.
 */
export class CatalogueWriter {
  readonly #options: CatalogueOptions
  readonly #building: string
  readonly #keys: CandidateKeys
  readonly #widths: number[]
  readonly #shape: RowShape
  #rows: FileHandle | undefined
  /** Rows whose values have been appended. */
  #appended = 0

  private constructor(options: CatalogueOptions, building: string, keys: CandidateKeys) {
    this.#options = options
    this.#building = building
    this.#keys = keys
    this.#widths = keptWidths(filesOf(options.plan).layers)
    this.#shape = shapeOf({ ...options, widths: this.#widths })
  }

  static async create(options: CatalogueOptions): Promise<CatalogueWriter> {
    const { plan, keyWords, base } = options
    const name = `catalogue-${plan.precision}.${randomUUID().slice(0, 8)}`
    const building = unfinished(join(plan.folder, name))
    const keys = base ? await CandidateKeys.read(base) : new CandidateKeys(keyWords)
    const writer = new CatalogueWriter(options, building, keys)
    await writer.#attempt(async () => {
      await makeFolder(building)
      writer.#appended = keys.rows
      writer.#rows = await writer.#openRows()
    })
    return writer
  }

  /** Candidates, those of the base too. */
  get rows(): number {
    return this.#keys.rows
  }

  /**
   * Adds the candidate in that row of `keys`, whose values are then to be appended. Returns false if it is there
   * already. Throws ModelError where there are too many.
   */
  claim(keys: Int32Array, row: number): boolean {
    return this.#keys.claim(keys, row)
  }

  /** Appends the values [rows, width] of the candidates claimed since the last time, in their order. */
  append(values: Float32Array): Promise<void> {
    return this.#attempt(async () => {
      await write(this.#rows!, writeRows(this.#shape, this.#keys.from(this.#appended), values))
      this.#appended += values.length / this.#shape.width
    })
  }

  /** Completes the files and lets them take effect. Returns what describes them. */
  finish(): Promise<CatalogueDescription> {
    return this.#attempt(async () => {
      const { plan, keyWords, precision, now } = this.#options
      if (this.#appended !== this.rows) throw new Error(`${this.rows} candidates have the values of ${this.#appended}`)
      await this.#close(true)
      const shape = { rows: this.rows, widths: this.#widths, keyWords, precision }
      await this.#put(catalogueFiles.index, this.#keys.index)
      await this.#put(catalogueFiles.graph, catalogueGraph(this.rows, rowWords(this.#shape)))
      const files: CatalogueDescription['files'] = {}
      for (const file of (await readdir(this.#building)).sort())
        files[file] = await describeStored(join(this.#building, file))
      const name = `catalogue-${plan.precision}.${randomUUID().slice(0, 8)}`
      const digest = planDigest(plan.description)
      const description = { format: catalogueFormat, plan: digest, ...shape, made: now, folder: name, files }
      const previous = await currentFolder(plan)
      await rename(this.#building, join(plan.folder, name))
      await replaceFile(join(plan.folder, descriptionFile(plan.precision)), seal(description)).catch(async (error) => {
        await rm(join(plan.folder, name), { recursive: true, force: true })
        throw error
      })
      await removeOthers(plan, name, previous, now)
      return description
    })
  }

  /** Removes what was written. Idempotent; nothing after `finish`. */
  async abort(): Promise<void> {
    await this.#close(false).catch(() => undefined)
    await rm(this.#building, { recursive: true, force: true })
  }

  /** The file of rows, which the base's come first in; a file system that can shares their blocks. */
  async #openRows(): Promise<FileHandle> {
    const { base } = this.#options
    const path = join(this.#building, catalogueFiles.rows)
    if (base) await copyFile(join(base.folder, catalogueFiles.rows), path, constants.COPYFILE_FICLONE)
    return open(path, 'a')
  }

  async #put(file: string, content: ArrayBufferView): Promise<void> {
    const handle = await open(join(this.#building, file), 'w')
    try {
      await write(handle, content)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async #close(sync: boolean): Promise<void> {
    const handle = this.#rows
    this.#rows = undefined
    if (sync) await handle?.sync()
    await handle?.close()
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      await this.abort()
      const message = `the catalogue can't be written beside the plan in ${this.#options.plan.folder}, which is as before: ${reasonOf(cause)}`
      throw new ModelError('MODEL_FAILED', message, { cause })
    }
  }
}

async function write(handle: FileHandle, { buffer, byteOffset, byteLength }: ArrayBufferView): Promise<void> {
  let at = 0
  while (at < byteLength) {
    const { bytesWritten } = await handle.write(
      new Uint8Array(buffer, byteOffset + at, Math.min(byteLength - at, 2 ** 26)),
    )
    at += bytesWritten
  }
}

/** Name of the folder of the catalogue that takes effect, if its description can be read. */
async function currentFolder({ folder, precision }: CataloguePlan): Promise<string | undefined> {
  try {
    const file = descriptionFile(precision)
    const text = await readSealed(join(folder, file))
    return text === undefined ? undefined : (unseal(text, file) as CatalogueDescription).folder
  } catch {
    return undefined
  }
}

/**
 * Removes the catalogue that was replaced, and what interrupted writers left. Processes that have it mapped keep it
 * until they close it. Never rejects.
 */
async function removeOthers(
  { folder, precision }: CataloguePlan,
  current: string,
  previous: string | undefined,
  now: number,
): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name === current || !name.startsWith(`catalogue-${precision}.`) || name === descriptionFile(precision)) continue
    const path = join(folder, name)
    const changed = (await stat(path).catch(() => undefined))?.mtimeMs ?? now
    if (name === previous || now - changed > staleAfter)
      await rm(path, { recursive: true, force: true }).catch(() => undefined)
  }
}

/**
 * The ONNX file that reads rows of a catalogue: of int32 slots [batch], the stored rows [batch, words]. They lie
 * in a file beside it, which ONNX Runtime maps into memory.
 */
export function catalogueGraph(rows: number, words: number): Uint8Array {
  const { slots, stored } = catalogueTensors
  const graph = Graph.create([declare(slots, { dtype: DataType.INT32, dims: [-1] })])
  const name = catalogueFiles.rows
  const table = { name, dataType: DataType.INT32, dims: [BigInt(rows), BigInt(words)] }
  graph.constants.set(name, external(table, name, 0, rows * words * 4))
  graph.node('Gather', [name, slots], { attributes: { axis: 0 }, outputs: [stored] })
  graph.outputs.push(declare(stored, { dtype: DataType.INT32, dims: [-1, words] }))
  return graph.toBytes()
}
