import type { EncodedRequest } from '../../model/serving/features/layout.ts'
import type { AnswerFollower, LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { TableHandle } from '../../model/serving/tables/table-handles.ts'
import { sampleHash } from '../../prediction-log/sampling.ts'
import type { RankOptions } from '../../schemas/predict.ts'
import type { LogRecord } from '../../schemas/prediction-log.ts'
import { putEntry } from './entry.ts'
import type { EntryHeader, LoggedVersion } from './messages.ts'
import type { RingWriter } from './ring.ts'

/** Records what requests sent and what they were answered, without waiting for anything. */
export interface PredictionLog {
  /** A request whose body has come; undefined where it can't be logged, however it ends. */
  begin(request: RequestIds): LoggedRequest | undefined
  /** It has ended. */
  ended(logged: LoggedRequest, end: RequestEnd): void
  /** A request has failed before its body was read. At most 100 per second are recorded. */
  unread(request: Pick<RequestIds, 'id' | 'traceId'>, end: UnreadEnd): void
  readonly state: PredictionLogState
}

export interface RequestIds {
  id: string
  traceId: string | undefined
  body: Buffer
  /** Whether it is recorded whatever the sampling says. */
  isAlways: boolean
}

/** How a request ended. */
export interface RequestEnd {
  /** The protocol, and the length of the body's JSON part where tensors follow it. */
  protocol: string
  headerLength: string | undefined
  key: string | undefined
  model: LoadedModel | undefined
  /** Whether it is the version that is pinned. */
  isPinned: boolean
  target: { version?: string | undefined; label?: string | undefined } | undefined
  rank: RankOptions | undefined
  outcome: string
  problems: readonly { path: string }[] | undefined
  deadlineMs: number | undefined
  ms: EntryHeader['ms']
}

/** How a request ended whose body was not read. */
export type UnreadEnd = Pick<RequestEnd, 'protocol' | 'key' | 'outcome' | 'ms'>

/** Requests that were not logged, though they were to be, by reason. */
export interface PredictionLogState {
  /** The ring was full. */
  full: number
  /** The entry was larger than a quarter of the ring. */
  too_large: number
  /** Bytes that wait to be written. */
  waiting: number
}

export interface PredictionLogOptions {
  ring: RingWriter
  /** Shares of the requests that are logged: of all, of those that fail, and of those that take `slowMs` or longer. */
  rates: Record<'rate' | 'failed' | 'slow', number>
  slowMs: number
  /** Has the thread know a version; its number. */
  introduce(version: LoadedModel): number
  /** Has it know the present state of a table; its number. */
  introduceTable(table: TableHandle): number
  /** ms since 1970 */
  now(): number
}

/** A request that may be logged. */
export class LoggedRequest implements AnswerFollower {
  readonly ids: RequestIds
  /** ms since 1970 */
  readonly at: number
  /** The hash that sampling goes by, from 0 to 1. */
  readonly hash: number
  body: Buffer
  probabilities: Float32Array = noProbabilities
  index: Int32Array = ownPlaces
  requested: number | undefined
  tables: Readonly<Record<string, TableHandle>> | undefined

  constructor(ids: RequestIds, hash: number, at: number) {
    this.at = at
    this.ids = ids
    this.hash = hash
    // The thread that reads large bodies takes their memory.
    this.body = ids.body.length > smallBody ? Buffer.from(ids.body) : ids.body
  }

  reads(tables: Readonly<Record<string, TableHandle>>): void {
    this.tables = tables
  }

  /** The graph has answered: the memory of both is used again. */
  answered({ index, requested }: EncodedRequest, probabilities: Float32Array | undefined): void {
    // A graph that answers nothing fails right after this.
    if (probabilities === undefined) return
    this.probabilities = probabilities.slice()
    if (index !== undefined) this.index = index.slice()
    this.requested = requested
  }
}

const [noProbabilities, ownPlaces] = [new Float32Array(0), new Int32Array(0)]

/** Bodies up to this size are read on the main thread. */
const smallBody = 1 << 16

/** Most requests per second whose bodies were not read: a flood of them must not displace the other records. */
const mostUnread = 100

/** Most problems whose places are logged. */
const mostProblems = 20

export function createPredictionLog({
  ring,
  rates,
  slowMs,
  introduce,
  introduceTable,
  now,
}: PredictionLogOptions): PredictionLog {
  const largest = ring.bytes.length / 4
  const most = Math.max(rates.rate, rates.failed, rates.slow)
  const counts = { full: 0, too_large: 0 }
  const unread = { second: 0, count: 0 }

  /**
   * Why a request is logged; undefined: it is not. Of the rules that hold for it, the one with the largest share: this
   * is the share of requests like it that are recorded, and what counts are to be divided by.
   */
  function sample(hash: number, { outcome, ms }: RequestEnd): keyof typeof rates | undefined {
    let why: keyof typeof rates = 'rate'
    if (outcome !== 'ok' && rates.failed > rates[why]) why = 'failed'
    if (ms.total >= slowMs && rates.slow > rates[why]) why = 'slow'
    return hash < rates[why] ? why : undefined
  }

  function begin(ids: RequestIds): LoggedRequest | undefined {
    const hash = sampleHash(ids.traceId, ids.id)
    return hash < most || ids.isAlways ? new LoggedRequest(ids, hash, now()) : undefined
  }

  function numbersOf(tables: Readonly<Record<string, TableHandle>>): Record<string, number> {
    const numbers: Record<string, number> = {}
    for (const name in tables) numbers[name] = introduceTable(tables[name]!)
    return numbers
  }

  /** Whether one more may be recorded in this second. */
  function mayRecordUnread(): boolean {
    const second = Math.floor(now() / 1000)
    if (unread.second !== second) Object.assign(unread, { second, count: 0 })
    return unread.count++ < mostUnread
  }

  const log: PredictionLog = {
    begin,
    unread(request, end) {
      if (!mayRecordUnread()) return
      const logged = begin({ ...request, body: noBody, isAlways: false })
      if (logged) log.ended(logged, { ...end, ...nothingKnown })
    },
    ended(logged, end) {
      const { hash, ids, at, body, probabilities, index, requested, tables } = logged
      const why = sample(hash, end) ?? (ids.isAlways ? 'header' : undefined)
      if (why === undefined) return
      const { protocol, headerLength, key, model, isPinned, target, rank, outcome, problems, deadlineMs, ms } = end
      const isLarge = body.length + probabilities.byteLength + index.byteLength > largest
      // The same shape each time: to put it together of parts would take longer than all else.
      const header: EntryHeader = {
        request_id: ids.id,
        trace_id: ids.traceId,
        at,
        key,
        protocol,
        headerLength,
        sampled_by: why,
        sample_rate: why === 'header' ? 1 : rates[why],
        outcome,
        number: model && introduce(model),
        chosen_by: model && chosenBy(target, isPinned),
        label: target?.label,
        problems: problems?.slice(0, mostProblems).map(({ path }) => path),
        deadline_ms: deadlineMs,
        ms,
        requested,
        rank,
        tables: tables && numbersOf(tables),
      }
      if (isLarge) counts.too_large++
      else if (!putEntry(ring, header, body, probabilities, index)) counts.full++
    },
    get state() {
      return { ...counts, waiting: ring.used }
    },
  }
  return log
}

const noBody = Buffer.alloc(0)
const nothingKnown: Omit<RequestEnd, keyof UnreadEnd> = {
  ...{ headerLength: undefined, model: undefined, isPinned: false, target: undefined, rank: undefined },
  ...{ problems: undefined, deadlineMs: undefined },
}

function chosenBy(target: RequestEnd['target'], isPinned: boolean): LogRecord['chosen_by'] {
  if (target?.version !== undefined) return 'version'
  if (target?.label !== undefined) return 'label'
  return isPinned ? 'pin' : 'default'
}

/** The parts of a version that the thread needs: values of vocabularies are many, and of no use to it. */
export function loggedVersion({ manifest, encoder, tensors, manifestless, limits }: LoadedModel): LoggedVersion {
  const bare = <T extends { kind: string }>(features: readonly T[]): T[] =>
    features.map((field) => (field.kind === 'vocabulary' ? { ...field, values: [] } : field))
  const { source } = encoder
  return {
    manifest: { ...manifest, features: bare(manifest.features) },
    source: 'columns' in source ? source : { ...source, features: bare(source.features) },
    ...{ tensors, manifestless, limits },
  }
}
