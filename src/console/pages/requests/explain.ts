import { median } from '../../../base/arrays.ts'
import { milliseconds, number, percent } from '../../parts/format.ts'
import { msOf, type RequestRecord, type StageTime, timesOf } from './stages.ts'

/** A stage with at least this share of the time is where it went. */
const dominant = 0.5

/** An account of what became of a request: where its time went, whether that is usual, and what to look at. */
export function explain(record: RequestRecord, others: Others): string {
  return record.status >= 400 ? explainFailure(record) : explainTime(record, others)
}

const whatHappened = {
  read: 'passed until its values were encoded',
  queue: 'it waited for a worker',
  compute: 'the model computed',
  write: 'passed until the client had taken the answer',
}

const elsewhere =
  'Something else held it up, such as many requests that came together, or a process that had no core: look at “What happened”, “Busy” and “Queue” on the Live page at this time.'

function explainTime(record: RequestRecord, others: Others): string {
  const { total_ms, rows } = record
  const times = timesOf(record)
  if (record.model === undefined) return `It took ${milliseconds(total_ms)}. Only predictions have several stages.`
  const longest = times.reduce((most, time) => (time.ms > most.ms ? time : most), times[0]!)
  const share = total_ms > 0 ? longest.ms / total_ms : 0
  const usual = compareWithUsual(record, longest, others)
  if (share < dominant)
    return `No stage has most of the time: the longest, ${longest.stage.name}, has ${percent(share, 2)}. ${usual.text}`
  const part = `${percent(share, 2)} of the time, ${milliseconds(longest.ms)},`
  if (longest.stage.name === 'receive')
    return `${part} passed until its body had come. ${usual.text} The client sends it slowly, its network is slow, or the event loop was busy: look at “Busy” on the Live page. Where that is low, look at the client.`
  if (usual.isUnexplained) return `${part} ${whatHappened[longest.stage.name]}. ${usual.text} ${elsewhere}`
  switch (longest.stage.name) {
    case 'read':
      return `${part} passed until its values were encoded. ${usual.text} The body is large, or the event loop was busy with other requests: look at “Busy” on the Live page. Columns instead of rows, and fewer values per candidate, are read faster.`
    case 'queue':
      return `${part} it waited for a worker, because others were being computed. ${usual.text} Look at “Busy” and “Queue” on the Live page: where the workers are busy all the time, they need more cores or cheaper models, or a client sends more than was agreed.`
    case 'compute': {
      const perRow = rows ? ` That is ${milliseconds(longest.ms / rows)} per row, for ${number(rows)} rows.` : ''
      return `${part} the model computed.${perRow} ${usual.text} Its batch may have held rows of other requests. A compiled model, the candidate cache or fewer candidates make it cheaper; the Models page shows what the compiler did.`
    }
    case 'write':
      return `${part} passed until the client had taken the answer: it reads slowly or is far away, or the event loop was busy. ${usual.text}`
  }
}

const advice: Record<string, string> = {
  QUEUE_FULL:
    'The server had more requests than it can answer in time, and refused this one early to keep the others in time. Look at “Shed per second” and “Busy” on the Live page.',
  DEADLINE_EXCEEDED:
    'It could not be answered within its deadline. The longest stage took the time, even where the deadline passed in another one. Look at “What happened” and “Busy” on the Live page.',
  INVALID_REQUEST: 'The body does not fit the model. The client has to change it.',
  TOO_MANY_ROWS: 'It has more candidates than a request may have: the client can split it.',
  BODY_TOO_LARGE: 'Its body is larger than the server takes.',
  UNSUPPORTED_MEDIA_TYPE: 'The server does not read this type or encoding of body.',
  RATE_LIMITED: 'Its key has used up its limit.',
  UNAUTHORIZED: 'It came without a key that the server knows.',
  FORBIDDEN: 'Its key, or the settings of the server, do not allow it.',
  MODEL_NOT_FOUND: 'It named a model that is not served: see the Models page.',
  VERSION_NOT_FOUND: 'It named a version that is not served: see the Models page.',
  NOT_FOUND: 'There is nothing at this path.',
  METHOD_NOT_ALLOWED: 'The path takes other methods.',
  MODEL_FAILED: 'The model could not compute it. Try it in the playground, and compare with another version.',
  INTERNAL: 'The server met an error that it did not foresee: the log has it under the request id.',
  NOT_READY: 'The model was being loaded, or failed to load: see the Models page.',
  DRAINING: 'The server was shutting down.',
}

function explainFailure(record: RequestRecord): string {
  const { code, status, total_ms } = record
  if (code !== undefined) return advice[code] ?? `It was answered with ${code}.`
  if (status !== 499) return `It was answered with status ${status}.`
  const last = timesOf(record).at(-1)
  if (last?.stage.name === 'receive')
    return `The client closed the connection after ${milliseconds(total_ms)}, before all of its body had come.`
  const when = last === undefined ? '' : ` It was in the stage “${last.stage.name}” then.`
  return `The client closed the connection after ${milliseconds(total_ms)}, before its answer.${when} Clients do so when their own timeout is shorter than the answer takes.`
}

/** Requests to compare one with. */
export interface Others {
  /** Which they are: the last ones, which are like all, or the slowest ones alone. */
  kind: 'recent' | 'slow'
  records: readonly RequestRecord[]
}

/** Fewer do not say what is usual. */
const fewest = 5

/** From this many times the median on, a time stands out. */
const outstanding = 2

const titles = { receive: 'Receiving', read: 'Reading', queue: 'Waiting', compute: 'Compute', write: 'Writing' }

export interface Usual {
  text: string
  /** It took much longer than usual, and its rows don't explain that: something else than the request did. */
  isUnexplained: boolean
}

/** How the time of a stage compares with other answered requests of the model, and whether its rows explain it. */
export function compareWithUsual(record: RequestRecord, { stage, ms }: StageTime, { kind, records }: Others): Usual {
  const others = records.filter(
    (one) => one.request_id !== record.request_id && one.model === record.model && one.status < 400,
  )
  const times = others.flatMap((one) => msOf(one, stage) ?? [])
  if (times.length < fewest)
    return usually(`Too few other ${kind} requests of this model are recorded to say what is usual: ${times.length}.`)
  const usual = median(times)
  const of = `${number(times.length)} other ${kind} requests of this model`
  const ratio = ms / usual
  if (!(ratio >= outstanding)) {
    if (stage.name === 'queue' && ratio >= 1 / outstanding && usual > waitsLong * computeOf(others))
      return usually(
        `It was not alone: the median of ${of} is ${milliseconds(usual)}, much longer than they computed. The server had more to do than it could.`,
      )
    const size = ratio < 1 / outstanding ? 'less time than usual' : 'about as long as usual'
    return usually(`${titles[stage.name]} took ${size}: the median of ${of} is ${milliseconds(usual)}.`)
  }
  const size = usual > 0 ? `${number(ratio, 2)} times` : 'more than'
  const { text, isUnexplained } = whetherRowsExplain(record, others, ratio)
  return {
    text: `${titles[stage.name]} took ${size} the median (${milliseconds(usual)}) of ${of}.${text}`,
    isUnexplained,
  }
}

/** From this many times the time of computing on, waiting is no usual one. */
const waitsLong = 3

const computeOf = (records: readonly RequestRecord[]): number =>
  median(records.flatMap(({ compute_ms }) => compute_ms ?? []))

const usually = (text: string): Usual => ({ text, isUnexplained: false })

/** More rows take longer in every stage. */
function whetherRowsExplain({ rows }: RequestRecord, others: readonly RequestRecord[], ratio: number): Usual {
  const counts = others.flatMap((one) => one.rows ?? [])
  if (rows === undefined || counts.length === 0) return { text: '', isUnexplained: true }
  const usual = median(counts)
  const rowRatio = rows / usual
  const does =
    rowRatio < outstanding
      ? 'does not explain that'
      : ratio / rowRatio < outstanding
        ? 'explains that'
        : 'explains only a part of that'
  return {
    text: ` Its number of rows ${does}: ${number(rows)}, against a median of ${number(usual)}.`,
    isUnexplained: ratio / rowRatio >= outstanding,
  }
}
