import { createHash } from 'node:crypto'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import { type Encoder, encoderFrom } from '../../model/serving/features/encoder.ts'
import { FetchNotes } from '../../model/serving/features/fetched.ts'
import { Violations } from '../../model/serving/features/problems.ts'
import { bindingsOf } from '../../model/serving/prediction/bindings.ts'
import { type Composer, createComposer } from '../../model/serving/prediction/compose.ts'
import { encodeQuery, type QueryRows } from '../../model/serving/prediction/query-rows.ts'
import { createPlanner, type Planner } from '../../model/serving/prediction/request-plan.ts'
import type { RowsByKey } from '../../model/serving/tables/feature-table.ts'
import type { PredictOptions } from '../../schemas/predict.ts'
import { type LoggedCandidate, logSchema } from '../../schemas/prediction-log.ts'
import type { BodyFormat } from '../body/body-format.ts'
import type { JsonBounds } from '../body/read-json.ts'
import type { Entry } from './entry.ts'
import { type FetchedFields, fetchedFields, keepBy, type SentFields, sentFields } from './fields.ts'
import type { EntryHeader, LoggedVersion, Loose, LooseRecord } from './messages.ts'
import { joined, judgesOf, type Unfamiliar } from './unfamiliar.ts'
import { withVocabularies } from './vocabularies.ts'

export interface RecordOptions {
  instance: string
  formats: ReadonlyMap<string, BodyFormat<unknown>>
  bounds: JsonBounds
  secret: string | undefined
  /** The feature tables that the request was answered by, by name. */
  tables?: ReadonlyMap<string, RowsByKey> | undefined
}

/** The values of a request. */
interface ReadFields {
  /** Undefined where it sent tensors. */
  sent?: SentFields | undefined
  notes?: FetchNotes | undefined
}

/** A version as its records need it. */
export class VersionRecords {
  readonly name: string
  readonly version: string
  /** First digits of its manifest's SHA-256; undefined where there is none. */
  readonly manifest: string | undefined
  readonly #logged: LoggedVersion
  readonly #encoder: Encoder
  readonly #keep: ReturnType<typeof keepBy>
  readonly #plan: Planner
  readonly #compose: Composer
  readonly #width: number
  /** Those that a request was answered by, while it is read. */
  #tables: ReadonlyMap<string, RowsByKey> = new Map()
  /** The key of the entity that candidates are. */
  readonly #keyName: string | undefined

  /** `judges`: whether it reads the vocabularies, by which it says what the version does not know. */
  constructor(
    logged: LoggedVersion,
    manifestBytes: Uint8Array | undefined,
    { secret, judges }: { secret: string | undefined; judges: boolean },
  ) {
    const { manifest, source, manifestless } = logged
    this.#logged = logged
    this.name = manifest.name
    this.version = manifest.version
    this.manifest = manifestBytes && createHash('sha256').update(manifestBytes).digest('hex').slice(0, 16)
    const known = withVocabularies(source, judges ? manifestBytes : undefined)
    this.#encoder = encoderFrom(known.source, { tables: { current: (name) => this.#tables.get(name) } })
    this.#keep = keepBy(manifest, secret, judgesOf(this.#encoder.layout, known.has))
    this.#plan = createPlanner(manifest)
    this.#compose = createComposer(manifest, this.#encoder.layout, manifestless)
    this.#width = manifest.tasks.length
    this.#keyName = Object.values(manifest.entities ?? {}).find(({ side }) => side === 'candidate')?.key
  }

  /** Values that a body sent, by field, and those that tables had for its keys. Throws INVALID_REQUEST. */
  read({ header, body }: Entry, { formats, bounds, tables }: RecordOptions): ReadFields {
    const { buffer, byteOffset, byteLength } = body
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    const opened = formats.get(header.protocol)!.open({ bytes, headerLength: header.headerLength }, bounds)
    const { tensors, manifestless, limits } = this.#logged
    const { rows } = opened.rowsFor({ encoder: this.#encoder, tensors, manifestless, limits })
    const sent = sentFields(rows, this.#keep, this.#keyName)
    return { sent, notes: tables && sent && this.#notesOf(rows, tables) }
  }

  /** Values that tables had for keys, as the server finds them. */
  #notesOf(rows: QueryRows, tables: ReadonlyMap<string, RowsByKey>): FetchNotes {
    const { tensors, limits } = this.#logged
    const fetched = new FetchNotes()
    this.#tables = tables
    try {
      encodeQuery(rows, this.#encoder, tensors.inputs, { maxRows: limits.maxRequestRows, partial: true, fetched })
    } catch {
      // A request that was refused: the values are noted that were found.
    }
    return fetched
  }

  /** Values that tables had for keys, by the notes of entities. */
  fetched(notes: Parameters<typeof fetchedFields>[0]): FetchedFields {
    return fetchedFields(notes, this.#keep)
  }

  /** All probabilities of all candidates, whatever the request asked for. */
  answered({ header, probabilities, index }: Entry, sent: SentFields | undefined): PredictionTable | undefined {
    if (probabilities.length === 0) return undefined
    const rows = probabilities.length / this.#width
    const options: PredictOptions = { raw: true, partial: true, ...(header.rank && { rank: { by: header.rank.by } }) }
    const plan = this.#plan(undefined, options, new Violations())
    const request = {
      ...{
        rows,
        requested: header.requested ?? rows,
        sparse: new Int32Array(),
        dense: new Float32Array(),
        problems: [],
      },
      ...(index.length > 0 && { index }),
      ...(sent && { bids: sent.candidates.map(({ bid }) => bid ?? undefined) }),
      placeOf: () => '',
    }
    return this.#compose(plan, request, { [bindingsOf(this.#logged.manifest).probabilities]: probabilities })
  }
}

/** The record of an entry; `version`: undefined where the request met none. */
export function recordOf(entry: Entry, version: VersionRecords | undefined, options: RecordOptions): LooseRecord {
  const { header } = entry
  const { at, headerLength: _, number: __, requested, rank: ___, tables: ____, ...rest } = header
  const record: LooseRecord = {
    schema: logSchema,
    time: new Date(at).toISOString(),
    instance: options.instance,
    ...(version && { model: version.name, version: version.version, manifest: version.manifest }),
    ...rest,
  }
  if (version === undefined) return { ...record, unread: 'no_version' }
  const { sent, notes, unread } = read(entry, version, options)
  const table = version.answered(entry, sent)
  const fetched = notes && version.fetched(notes.context)
  return {
    ...record,
    // Protocols with columns alone have an empty one.
    ...(sent?.context && Object.keys(sent.context.values).length > 0 && { context: sent.context.values }),
    ...fetched,
    ...joined(sent?.context, fetched),
    candidates: candidatesOf(sent, table, requested, notes && ((row) => version.fetched(notes.candidates[row]))),
    ...(unread !== undefined && { unread }),
  }
}

function read(entry: Entry, version: VersionRecords, options: RecordOptions): ReadFields & { unread?: string } {
  try {
    const fields = version.read(entry, options)
    return fields.sent === undefined ? { unread: 'tensors' } : fields
  } catch (error) {
    // A request that was refused may have had a body that nobody can read.
    if (entry.header.outcome === 'ok') throw error
    return { unread: 'invalid' }
  }
}

const nothingFetched: FetchedFields = {
  fetched: undefined,
  unknown_keys: undefined,
  unknown: undefined,
  cut: undefined,
}

function candidatesOf(
  sent: SentFields | undefined,
  table: PredictionTable | undefined,
  requested: EntryHeader['requested'],
  fetchedOf: ((row: number) => FetchedFields) | undefined,
): Loose<LoggedCandidate>[] {
  const rows = requested ?? sent?.candidates.length ?? 0
  const candidates: Loose<LoggedCandidate>[] = []
  for (let position = 0; position < rows; position++) {
    const given = sent?.candidates[position]
    const found = fetchedOf?.(position) ?? nothingFetched
    const { id, bid, fields } = given ?? {}
    const { unknown, cut } = given === undefined ? found : joined(given as Unfamiliar, found)
    const unanswered = { raw: undefined, served: undefined, score: undefined, rank: undefined }
    const { fetched, unknown_keys } = found
    candidates.push({ position, id, bid, fields, fetched, unknown_keys, unknown, cut, ...unanswered })
  }
  if (table === undefined) return candidates
  const { tasks, raw = [], scores, index } = table
  const entries = tasks[0]?.[1].length ?? 0
  for (let entry = 0; entry < entries; entry++) {
    const candidate = candidates[index?.[entry] ?? entry]
    if (candidate === undefined) continue
    candidate.raw = valuesAt(raw, entry)
    candidate.served = valuesAt(tasks, entry)
    if (scores === undefined) continue
    candidate.score = scores[entry]
    candidate.rank = entry
  }
  return candidates
}

function valuesAt(columns: readonly [string, Float64Array][], entry: number): Record<string, number> {
  const values: Record<string, number> = {}
  for (const [name, column] of columns) values[name] = column[entry]!
  return values
}
