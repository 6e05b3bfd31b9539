import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { reasonOf } from '../../base/errors.ts'
import type { RowsByKey } from '../../model/serving/tables/feature-table.ts'
import { NumberedTables, type TableHandle } from '../../model/serving/tables/table-handles.ts'
import { wellFormedLine } from '../../prediction-log/json-text.ts'
import { noVersion } from '../../schemas/prediction-log.ts'
import type { BodyFormat } from '../body/body-format.ts'
import { type Entry, readEntry } from './entry.ts'
import { LogFiles } from './log-files.ts'
import { createWriterState, type LoggedVersion, type WriterRequest, type WriterSettings } from './messages.ts'
import { recordOf, VersionRecords } from './record.ts'
import { type RingMemory, RingReader } from './ring.ts'

export interface WriterData {
  settings: WriterSettings
  ring: RingMemory
}

/** How often the ring is emptied, ms: a process that is killed loses what came since. */
export const interval = 50
/** How often files are looked after, and how soon a disk that takes nothing is tried again, ms. */
const lookInterval = 1000
/** Most bytes of manifests whose vocabularies are read: a million values take 50 MiB of the thread's heap. */
const mostJudged = 2 ** 26
/** Lines of a version that are written together, characters. */
const mostPending = 1 << 20

/** Writes the records of a ring; in a thread of its own. */
export class LogWriter {
  readonly #settings: WriterSettings
  readonly #ring: RingReader
  readonly #port: MessagePort
  readonly #formats: ReadonlyMap<string, BodyFormat<unknown>>
  readonly #files: LogFiles
  readonly #versions = new Map<number, VersionRecords>()
  /** Bytes of the manifests whose vocabularies are read. */
  readonly #judged = new Map<number, number>()
  /** Lines by folder, and their number. */
  readonly #pending = new Map<string, { lines: string; records: number }>()
  readonly #state = createWriterState()
  #failedUntil = 0
  #looked = 0
  #recovered = false
  readonly #forgotten = new Set<number>()
  readonly #tables = new NumberedTables()
  readonly #forgottenTables = new Set<number>()
  #ends = false
  #reported = ''

  constructor({ settings, ring }: WriterData, port: MessagePort, formats: ReadonlyMap<string, BodyFormat<unknown>>) {
    this.#settings = settings
    this.#ring = new RingReader(ring)
    this.#port = port
    this.#formats = formats
    this.#files = new LogFiles({ ...settings, now: Date.now })
  }

  start(): void {
    const timer = setInterval(() => {
      if (this.#turn()) return
      clearInterval(timer)
      this.#close()
    }, interval)
  }

  /**
   * Writes what waits; false once it is to end. A flood fills the ring as fast as this reads: a turn ends before the
   * ring is empty then, so that files are looked after and messages received.
   */
  #turn(): boolean {
    this.#receive()
    const until = this.#ends ? Number.POSITIVE_INFINITY : performance.now() + interval
    let bytes = this.#ring.next()
    for (; bytes; bytes = performance.now() < until ? this.#ring.next() : undefined) this.#add(bytes)
    this.#write()
    // Entries that wait may still name them.
    if (this.#ring.isEmpty) this.#forget()
    const now = Date.now()
    if (Math.abs(now - this.#looked) >= lookInterval) {
      this.#looked = now
      this.#look()
    }
    return !this.#ends
  }

  #receive(): void {
    for (let message = receiveMessageOnPort(this.#port); message; message = receiveMessageOnPort(this.#port)) {
      const request = message.message as WriterRequest
      if (request.type === 'close') this.#ends = true
      else if (request.type === 'forget') this.#forgotten.add(request.number)
      else if (request.type === 'forget_table') this.#forgottenTables.add(request.number)
      else if (request.type === 'table') this.#openTable(request.number, request.table)
      else this.#versions.set(request.number, this.#know(request.number, request.version))
    }
  }

  #forget(): void {
    for (const number of this.#forgotten) {
      this.#versions.delete(number)
      this.#judged.delete(number)
    }
    for (const number of this.#forgottenTables) this.#tables.close(number)
    this.#forgotten.clear()
    this.#forgottenTables.clear()
  }

  /** Undefined where the request met none. */
  #versionOf({ header: { number } }: Entry): VersionRecords | undefined {
    if (number === undefined) return undefined
    // A version is sent before the first entry that names it, but perhaps after the last look.
    if (!this.#versions.has(number)) this.#receive()
    const version = this.#versions.get(number)
    if (version === undefined) throw new Error('its version is not known')
    return version
  }

  #openTable(number: number, table: TableHandle): void {
    try {
      this.#tables.open(number, table)
    } catch {
      // Its version was removed meanwhile: entries that name it have no record.
    }
  }

  /** Throws where one of them is not open. */
  #tablesOf({ header: { tables } }: Entry): ReadonlyMap<string, RowsByKey> | undefined {
    if (tables === undefined) return undefined
    const open = Object.entries(tables).map(([name, number]): [string, RowsByKey] => {
      // As with versions.
      if (this.#tables.get(number) === undefined) this.#receive()
      const table = this.#tables.get(number)
      if (table === undefined) throw new Error(`its table ${name} can't be opened`)
      return [name, table]
    })
    return new Map(open)
  }

  #add(bytes: Uint8Array<ArrayBuffer>): void {
    let entry: Entry
    let line: string
    let folder: string
    try {
      entry = readEntry(bytes)
      const version = this.#versionOf(entry)
      const { instance, bounds, secret } = this.#settings
      const tables = this.#tablesOf(entry)
      const record = recordOf(entry, version, { instance, bounds, secret, formats: this.#formats, tables })
      const text = JSON.stringify(record)
      line = `${wellFormedLine(text)}\n`
      if (line.length <= text.length) this.#state.repaired++
      folder = version ? join(version.name, version.version) : noVersion
    } catch (error) {
      this.#state.dropped.unreadable++
      this.#state.unreadable = reasonOf(error)
      return
    }
    const pending = this.#pending.get(folder)
    if (pending === undefined) this.#pending.set(folder, { lines: line, records: 1 })
    else {
      pending.lines += line
      pending.records++
    }
    if ((pending?.lines.length ?? 0) > mostPending) this.#write()
  }

  #write(): void {
    for (const [folder, { lines, records }] of this.#pending) {
      this.#pending.delete(folder)
      this.#attempt(records, () => {
        this.#files.append(folder, lines)
        this.#state.records += records
        this.#state.bytes += Buffer.byteLength(lines)
      })
    }
  }

  /** Does some work on the disk, unless it has just failed; `records`: dropped where it fails. */
  #attempt(records: number, work: () => void): void {
    try {
      if (Date.now() < this.#failedUntil) throw new Error(this.#state.problem)
      if (!this.#recovered) {
        mkdirSync(this.#settings.folder, { recursive: true })
        this.#files.recover()
        this.#files.prune()
        this.#recovered = true
      }
      work()
      if (this.#failedUntil > 0 && records > 0) [this.#failedUntil, this.#state.problem] = [0, undefined]
    } catch (error) {
      this.#state.dropped.disk += records
      if (Date.now() < this.#failedUntil) return
      this.#state.problem = reasonOf(error)
      this.#failedUntil = Date.now() + lookInterval
    }
  }

  #look(): void {
    this.#attempt(0, () => this.#files.look())
    this.#state.disk = this.#files.disk
    this.#state.finished = this.#files.finished
    const state = JSON.stringify(this.#state)
    if (state === this.#reported) return
    this.#reported = state
    this.#port.postMessage(this.#state)
  }

  #close(): void {
    // The disk may take again what it did not take a moment ago.
    this.#failedUntil = 0
    this.#attempt(0, () => this.#files.close())
    this.#look()
    this.#port.close()
  }

  /** A version, and a copy of its manifest beside its files. */
  #know(number: number, logged: LoggedVersion): VersionRecords {
    const { models, secret } = this.#settings
    const { name, version } = logged.manifest
    let bytes: Buffer | undefined
    try {
      bytes = readFileSync(join(models, name, version, 'manifest.json'))
    } catch {
      // A graph without a manifest, or a version that was removed while it is served.
    }
    const judged = [...this.#judged.values()].reduce((sum, length) => sum + length, bytes?.length ?? 0)
    const judges = judged <= mostJudged
    if (judges) this.#judged.set(number, bytes?.length ?? 0)
    const known = new VersionRecords(logged, bytes, { secret, judges })
    if (bytes !== undefined)
      this.#attempt(0, () => this.#files.accompany(join(name, version), `manifest-${known.manifest}.json`, bytes))
    return known
  }
}
