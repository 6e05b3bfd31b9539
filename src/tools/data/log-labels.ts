import { reasonOf } from '../../base/errors.ts'
import { murmur3 } from '../../base/hash.ts'
import { grouped } from '../../base/terminal.ts'
import type { LogLabels } from '../../schemas/log-data.ts'
import type { RowData } from '../../schemas/rows-spec.ts'
import { compileExpression, unknownColumn } from './expression.ts'
import { type Column, type RowCell, RowProblems, type Source, SpecError } from './source.ts'

/** Events of one kind, by request and candidate. */
export interface Events {
  name: string
  /** 1 where the candidate had such an event in time, else 0; `time`: of the request, in seconds since 1970. */
  labelOf(request: string, candidate: string, time: number): 0 | 1
  /** Facts about the events that people should know, once all rows have been read. */
  notes(): string[]
  /** Why no row can have one, once all rows have been read. */
  readonly problem: string | undefined
}

/** Opens the data of a file. */
type Open = (data: RowData, file: string) => Promise<Source>

/** Reads the events of labels. Rejects with a SpecError. */
export async function readEvents(
  labels: readonly LogLabels[],
  { file, pathOf, open }: { file: string; pathOf(index: number): string; open: Open },
): Promise<Events[]> {
  const all: Events[] = []
  for (const [index, label] of labels.entries()) {
    const path = pathOf(index)
    const files = filesOf(label, path, file)
    const source = await open(files.data, file).catch((error) => {
      throw error instanceof SpecError ? within(error, path, files.form) : error
    })
    all.push(await eventsOf(label, source, path, file))
  }
  return all
}

function filesOf({ csv, parquet }: LogLabels, path: string, file: string): { form: string; data: RowData } {
  const list = (paths: string | string[]) => (typeof paths === 'string' ? [paths] : paths)
  if (csv !== undefined && parquet === undefined)
    return { form: 'csv', data: { csv: list(csv), separator: ',', trim: false, missing: [''] } }
  if (csv === undefined && parquet !== undefined)
    return { form: 'parquet', data: { parquet: list(parquet), missing: [''] } }
  throw new SpecError(file, [{ path, message: 'must have either csv or parquet' }])
}

/** The problems of the files, at their places below the labels. */
const within = ({ file, problems }: SpecError, path: string, form: string): SpecError =>
  new SpecError(
    file,
    problems.map((problem) => ({ ...problem, path: problem.path.replace(`/data/${form}`, `${path}/${form}`) })),
  )

async function eventsOf(label: LogLabels, source: Source, path: string, file: string): Promise<Events> {
  const { name, request, candidate, where, time, window } = label
  const problems = new RowProblems()
  const indexOf = (property: 'request' | 'candidate' | 'time'): number => {
    const wanted = label[property]
    if (wanted === undefined) return -1
    const index = source.columns.findIndex((column) => column.name === wanted)
    if (index < 0) problems.add(`${path}/${property}`, missing(wanted, source.columns))
    return index
  }
  if (window !== undefined && time === undefined)
    problems.add(`${path}/time`, 'is required: a window is after the time of a request')
  if (time !== undefined && window === undefined)
    problems.add(`${path}/window`, 'is required: it says how long after its request an event counts')
  const [of, to, at] = [indexOf('request'), indexOf('candidate'), indexOf('time')]
  const isEvent = problemIn(problems, `${path}/where`, () => where && compileExpression(where, source.columns))
  const events = new EventTable()
  if (problems.list().length === 0) {
    const wanted = new Set([of, to, ...(isEvent ? isEvent.columns : []), ...(at < 0 ? [] : [at])])
    let row = 0
    for await (const cells of source.rows(wanted)) {
      const place = () => source.place(row)
      if (isEvent === undefined || isEvent === '' || isEvent(cells) === 1) {
        const [requestId, candidateId] = [cells[of] ?? null, cells[to] ?? null]
        const seconds = at < 0 ? 0 : secondsOf(cells[at] ?? null)
        if (requestId === null || candidateId === null)
          problems.add(path, `${place()}: ${requestId === null ? request : candidate} is missing`)
        else if (Number.isNaN(seconds))
          problems.add(`${path}/time`, `${place()}: ${time} must be seconds since 1970, or ISO 8601`)
        else events.add(String(requestId), String(candidateId), seconds)
      }
      row++
      if (problems.full) break
    }
  }
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  return eventsIn(events, name, window === undefined ? undefined : seconds(window))
}

function problemIn<T>(problems: RowProblems, path: string, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    problems.add(path, reasonOf(error))
    return undefined
  }
}

const missing = (name: string, columns: readonly Column[]) =>
  unknownColumn(
    name,
    columns.map((column) => column.name),
    [],
  )

function eventsIn(events: EventTable, name: string, window: number | undefined): Events {
  let [rows, early] = [0, 0]
  return {
    name,
    labelOf(request, candidate, time) {
      rows++
      if (window !== undefined && time + window > events.last) early++
      return events.has(request, candidate, time, window) ? 1 : 0
    },
    notes() {
      const notes: string[] = []
      const { unmatched, count } = events
      if (unmatched > 0)
        notes.push(`${grouped(unmatched)} of ${grouped(count)} events of ${name} are of no row of the log, or too late`)
      if (early > 0)
        notes.push(
          `${grouped(early)} of ${grouped(rows)} rows are less than ${window} s older than the last event of ${name}: those that are 0 may yet become 1`,
        )
      return notes
    },
    get problem() {
      if (events.count === 0) return `there are no events of ${name}: all labels would be 0`
      if (events.unmatched < events.count) return undefined
      return `none of ${grouped(events.count)} events of ${name} is of a row of the log, in time: all labels would be 0`
    },
  }
}

const unit: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }
const seconds = (window: string) => Number.parseFloat(window) * unit[window.at(-1)!]!

/** Seconds since 1970; NaN where a cell is no time. Milliseconds are none: they would be far in the future. */
function secondsOf(cell: RowCell): number {
  if (cell === null || typeof cell === 'object') return Number.NaN
  const text = String(cell)
  const number = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isNaN(number)) return Math.abs(number) < 1e11 ? number : Number.NaN
  return /^\d{4}-/.test(text) ? Date.parse(text) / 1000 : Number.NaN
}

/** Events by two hashes of request and candidate: about 40 bytes each. One pair may have several. */
class EventTable {
  #first = new Uint32Array(1024)
  #second = new Uint32Array(1024)
  /** NaN: an empty place. */
  #times = new Float64Array(1024).fill(Number.NaN)
  #matched = new Uint8Array(1024)
  count = 0
  unmatched = 0
  last = Number.NEGATIVE_INFINITY

  add(request: string, candidate: string, time: number): void {
    if (2 * (this.count + 1) > this.#times.length) this.#grow()
    const text = `${request}\0${candidate}`
    this.#put(murmur3(text, 0), murmur3(text, 1), time)
    this.count++
    this.unmatched++
    if (time > this.last) this.last = time
  }

  /** Whether a pair has an event in the seconds after a time. */
  has(request: string, candidate: string, time: number, window: number | undefined): boolean {
    const text = `${request}\0${candidate}`
    const [first, second] = [murmur3(text, 0), murmur3(text, 1)]
    const mask = this.#times.length - 1
    let found = false
    for (let place = first & mask; !Number.isNaN(this.#times[place]!); place = (place + 1) & mask) {
      if (this.#first[place] !== first || this.#second[place] !== second) continue
      const after = this.#times[place]! - time
      // Times of events may be whole seconds.
      if (window !== undefined && !(after > -1 && after <= window)) continue
      found = true
      this.unmatched -= 1 - this.#matched[place]!
      this.#matched[place] = 1
    }
    return found
  }

  #put(first: number, second: number, time: number): void {
    const mask = this.#times.length - 1
    let place = first & mask
    while (!Number.isNaN(this.#times[place]!)) place = (place + 1) & mask
    this.#first[place] = first
    this.#second[place] = second
    this.#times[place] = time
  }

  #grow(): void {
    const [first, second, times] = [this.#first, this.#second, this.#times]
    const length = 2 * times.length
    this.#first = new Uint32Array(length)
    this.#second = new Uint32Array(length)
    this.#times = new Float64Array(length).fill(Number.NaN)
    this.#matched = new Uint8Array(length)
    for (const [place, time] of times.entries()) if (!Number.isNaN(time)) this.#put(first[place]!, second[place]!, time)
  }
}
