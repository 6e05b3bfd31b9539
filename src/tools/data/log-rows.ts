import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { reasonOf } from '../../base/errors.ts'
import { counted } from '../../base/terminal.ts'
import { parseManifest } from '../../model/serving/bundle/manifest.ts'
import { type LogFile, readRecords } from '../../prediction-log/log-records.ts'
import { DamagedFile } from '../../prediction-log/parse-record.ts'
import { sampled } from '../../prediction-log/sampling.ts'
import type { LogData } from '../../schemas/log-data.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { type LogRecord, noVersion } from '../../schemas/prediction-log.ts'
import type { RowData } from '../../schemas/rows-spec.ts'
import { LogColumns } from './log-columns.ts'
import { type Events, readEvents } from './log-labels.ts'
import { type LogManifest, locateLog, openLog } from './open-log.ts'
import { type RowCell, type Source, SpecError } from './source.ts'
import { firstIndex } from './split.ts'

/** The files of one version in a log. */
interface VersionFiles {
  model: string
  version: string
  folder: string
  files: LogFile[]
  manifests: LogManifest[]
}

/**
 * Opens the answered candidates of a prediction log as rows. Rejects with a SpecError where the log can't be read, has
 * several models, or lacks the manifests of its versions, and for problems of the labels.
 */
export async function openLogRows(
  data: LogData,
  file: string,
  open: (data: RowData, file: string) => Promise<Source>,
): Promise<Source> {
  const fail = (path: string, message: string) => new SpecError(file, [{ path, message }])
  const versions = await findVersions(data, file, fail)
  const manifests = (await Promise.all(versions.map((version) => manifestsOf(version, fail)))).flat()
  const labels = data.labels === undefined ? [] : [data.labels].flat()
  const pathOf = (index: number) => (Array.isArray(data.labels) ? `/data/labels/${index}` : '/data/labels')
  const columns = new LogColumns(manifests)
  for (const [index, { name }] of labels.entries())
    if (columns.names.has(name) || labels.findIndex((label) => label.name === name) < index)
      throw fail(`${pathOf(index)}/name`, `${name} is the name of another column`)
  const events = await readEvents(labels, {
    file,
    pathOf,
    open: (rows) => open(rows, file),
  })
  const files = versions.flatMap((version) => version.files).sort((a, b) => (a.name < b.name ? -1 : 1))
  const sizes = await Promise.all(files.map(sizeOf))
  const { sample, skip_damaged: skipDamaged } = data
  return new LogRows(files, columns, events, { sample, skipDamaged, sizes, file, pathOf })
}

/** Folders of the versions that are wanted. */
async function findVersions(
  { log, model, versions }: LogData,
  file: string,
  fail: (path: string, message: string) => SpecError,
): Promise<VersionFiles[]> {
  const found = new Map<string, VersionFiles>()
  for (const [index, place] of [log].flat().entries()) {
    const path = Array.isArray(log) ? `/data/log/${index}` : '/data/log'
    const { files, manifests } = await openLog(locateLog(place, dirname(file))).catch((error) => {
      throw fail(path, reasonOf(error))
    })
    if (files.length === 0) throw fail(path, `${place} has no files of a prediction log`)
    for (const one of files) {
      const folder = dirname(one.path)
      const known = found.get(folder)
      if (known) known.files.push(one)
      else
        found.set(folder, {
          ...{ model: basename(dirname(folder)), version: basename(folder), folder, files: [one] },
          manifests: manifests.filter(({ path }) => dirname(path) === folder),
        })
    }
  }
  const known = [...found.values()].filter(({ folder }) => basename(folder) !== noVersion)
  const models = [...new Set(known.map((one) => one.model))].sort()
  if (models.length === 0) throw fail('/data/log', 'has no answered requests')
  const wanted = model ?? models[0]!
  if (model === undefined && models.length > 1)
    throw fail('/data/model', `is required: the log has records of ${models.join(', ')}`)
  if (!models.includes(wanted)) throw fail('/data/model', `${wanted} has no records; ${models.join(', ')} have`)
  const ofModel = known.filter((one) => one.model === wanted)
  const unknown = versions?.findIndex((wanted) => ofModel.every(({ version }) => version !== wanted)) ?? -1
  if (unknown >= 0)
    throw fail(
      `/data/versions/${unknown}`,
      `${wanted} ${versions![unknown]} has no records; ${ofModel.map((one) => one.version).join(', ')} have`,
    )
  return ofModel.filter(({ version }) => versions?.includes(version) ?? true)
}

/** The manifests by which a version's requests were answered: they say what its fields are. */
async function manifestsOf(
  { model, version, folder, manifests }: VersionFiles,
  fail: (path: string, message: string) => SpecError,
): Promise<Manifest[]> {
  if (manifests.length === 0)
    throw fail('/data/log', `${folder} has no manifest-….json, which says what the fields of ${model}/${version} are`)
  return Promise.all(
    manifests.map(async ({ path, read }) => {
      try {
        return parseManifest(await read(), path)
      } catch (error) {
        throw fail('/data/log', reasonOf(error))
      }
    }),
  )
}

const sizeOf = async ({ path, bytes }: LogFile) => bytes ?? (await stat(path).catch(() => undefined))?.size ?? 0

interface LogRowsOptions {
  /** Share of the requests that are rows. */
  sample: number
  skipDamaged: boolean
  /** Bytes of each file. */
  sizes: readonly number[]
  file: string
  pathOf(index: number): string
}

class LogRows implements Source {
  readonly columns: Source['columns']
  readonly #files: readonly LogFile[]
  readonly #columns: LogColumns
  readonly #events: readonly Events[]
  readonly #options: LogRowsOptions
  /** The first row of each file and of each record. */
  #fileStarts: number[] = []
  #recordStarts: number[] = []
  #firstRecords: number[] = []
  readonly #bytes: number
  #read = 0
  #tensors = 0
  #damaged: string[] = []

  constructor(files: readonly LogFile[], columns: LogColumns, events: readonly Events[], options: LogRowsOptions) {
    this.#files = files
    this.#columns = columns
    this.#events = events
    this.#options = options
    this.#bytes = options.sizes.reduce((sum, bytes) => sum + bytes, 0)
    this.columns = [...columns.columns, ...events.map(({ name }) => ({ name, type: 'double' as const }))]
  }

  get sample(): number {
    return this.#options.sample
  }

  place(index: number): string {
    const file = firstIndex(this.#fileStarts, index + 1) - 1
    const record = firstIndex(this.#recordStarts, index + 1) - 1
    const name = this.#files[file]?.name ?? 'the log'
    return `${name} record ${record - (this.#firstRecords[file] ?? 0) + 1}, candidate ${index - (this.#recordStarts[record] ?? 0)}`
  }

  progress(): number | undefined {
    return this.#bytes === 0 ? undefined : Math.min(1, this.#read / this.#bytes)
  }

  notes(): string[] {
    const notes = this.#events.flatMap((events) => events.notes())
    if (this.#tensors > 0)
      notes.push(`${counted(this.#tensors, 'request')} sent tensors, which have no fields: they are no rows`)
    return [...notes, ...this.#damaged.map((damage) => `the rest of a damaged file is left out: ${damage}`)]
  }

  async *rows(): AsyncGenerator<readonly RowCell[]> {
    this.#read = 0
    this.#tensors = 0
    this.#damaged = []
    this.#fileStarts = []
    this.#recordStarts = []
    this.#firstRecords = []
    const own = this.#columns.columns.length
    const row: RowCell[] = this.columns.map(() => null)
    let rows = 0
    for await (const record of this.#records(() => rows)) {
      this.#recordStarts.push(rows)
      const kept = sampled(record, this.#options.sample)
      const fill = kept && this.#columns.reader(kept, row)
      const { request_id, candidates = [] } = record
      const time = Date.parse(record.time) / 1000
      for (const candidate of candidates) {
        if (candidate.served === undefined) continue
        const id = String(candidate.id ?? candidate.position)
        // Events of requests that are not in the sample are those of rows, too.
        for (let i = 0; i < this.#events.length; i++) row[own + i] = this.#events[i]!.labelOf(request_id, id, time)
        if (fill === undefined) continue
        fill(candidate)
        yield row
        rows++
      }
    }
    const problems = this.#events.flatMap(({ problem }, index) =>
      problem === undefined ? [] : [{ path: this.#options.pathOf(index), message: problem }],
    )
    if (problems.length > 0 && rows > 0) throw new SpecError(this.#options.file, problems)
  }

  /** Records that were answered. */
  async *#records(rows: () => number): AsyncGenerator<LogRecord> {
    for (const [index, file] of this.#files.entries()) {
      const end = this.#read + this.#options.sizes[index]!
      this.#fileStarts.push(rows())
      this.#firstRecords.push(this.#recordStarts.length)
      try {
        for await (const { record, bytes } of readRecords(file)) {
          this.#read += bytes
          // A sample has the records of all versions, wherever it lies.
          const isOfVersion = join('/', dirname(file.path)).endsWith(
            join('/', record.model ?? '', record.version ?? ''),
          )
          if (record.outcome !== 'ok' || !isOfVersion) continue
          if (record.unread !== undefined) this.#tensors++
          else yield record
        }
      } catch (error) {
        if (!(this.#options.skipDamaged && error instanceof DamagedFile))
          throw new SpecError(this.#options.file, [{ path: '/data/log', message: reasonOf(error) }])
        this.#damaged.push(reasonOf(error))
      }
      this.#read = end
    }
  }
}
