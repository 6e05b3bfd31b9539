import { basename, dirname } from 'node:path'
import type { LostWorker } from '../../model/engines/pool/engine-pool.ts'
import type { LiveEvent } from '../../schemas/live-figures.ts'
import { losses, lossFelt } from '../../schemas/outcomes.ts'
import { changesOfLog } from './log-changes.ts'
import { changesOfModels, problemsOf } from './model-changes.ts'
import type { Condition, Reading, Readings } from './reading.ts'
import type { Interval } from './summarise.ts'
import { changesOfTables } from './table-changes.ts'
import { type Change, createTrafficChanges, error, info, warning } from './traffic-changes.ts'

/** Changes between readings: the last ones, each once however long it goes on. */
export interface EventLog {
  /** `at`: ms, by the clock of the readings. */
  add(readings: Readings, at: number): void
  /** Adds the changes that an interval shows, after those before it. */
  addInterval(interval: Interval): void
  /** Events that began or went on after this moment, oldest first. */
  since(at: number): LiveEvent[]
}

/** Events that are kept. */
const kept = 200

/** The same event again within this time, ms, is one that goes on; deltas may come every minute, and go on always. */
const goesOn = 30_000

/** Events of a moment: the same one again is another. */
const moments = new Set<Change['kind']>([
  'requests_arrive',
  'process_answers',
  'folder_readable',
  'prediction_log_writable',
  'version_pinned',
  'version_unpinned',
])

/** Each of them is a moment: those that go on are several. */
const counted = new Set<Change['kind']>(['worker_replaced', 'process_stalled', 'clock_jumped', 'deltas_applied'])

/** The wall clock jumped if it moved by so much more or less than the steady one, ms. */
const jump = 5_000

export function createEventLog(): EventLog {
  const events: LiveEvent[] = []
  let before: Readings | undefined
  /** The last event that took capacity away. */
  let loss: { at: number; text: string } | undefined
  const changesOfTraffic = createTrafficChanges()
  let nextId = 1

  function note(changes: readonly Change[], at: number): void {
    for (const change of changes) {
      const same = moments.has(change.kind)
        ? undefined
        : events.findLast(
            ({ kind, text, until }) =>
              kind === change.kind && text === change.text && (at - until < goesOn || kind === 'deltas_applied'),
          )
      if (same !== undefined) {
        same.until = at
        if (counted.has(change.kind)) same.times = (same.times ?? 1) + 1
      } else events.push({ id: nextId++, at, until: at, ...change })
    }
    events.splice(0, events.length - kept)
  }

  return {
    add(readings, at) {
      const changes = before === undefined ? [] : changesBetween(before, readings)
      before = { answered: rememberSilent(before, readings), silent: readings.silent }
      note(changes, at)
      const lost = changes.find(({ kind }) => losses.includes(kind))
      if (lost !== undefined) loss = { at, text: lost.text }
      // These last as long as the condition does.
      for (const problem of problemsOf(readings)) {
        const event = events.findLast(({ text }) => text === problem.text)
        if (event !== undefined) event.until = at
      }
    },
    addInterval(interval) {
      const { at } = interval.sample
      const cause = loss !== undefined && at - loss.at < lossFelt ? loss.text : undefined
      note(
        changesOfTraffic(interval).map((change) =>
          cause !== undefined && change.kind === 'requests_shed'
            ? { ...change, text: `${change.text}, just after this: ${cause}` }
            : change,
        ),
        at,
      )
    },
    since: (at) => events.filter(({ until }) => until > at).map((event) => ({ ...event })),
  }
}

/** Readings to compare with the next ones: a process that is silent now is compared with what it said last. */
function rememberSilent(before: Readings | undefined, { answered, silent }: Readings): Reading[] {
  return [...answered, ...(before?.answered.filter(({ pid }) => silent.includes(pid)) ?? [])]
}

function changesBetween(before: Readings, now: Readings): Change[] {
  const known = new Map(before.answered.map((reading) => [reading.pid, reading]))
  const ofProcesses = now.answered.flatMap((reading) =>
    changesOfProcess(known.get(reading.pid) ?? newborn(reading), reading),
  )
  return [
    ...comingAndGoing(before, now, known),
    ...ofProcesses,
    ...changesOfModels(before, now),
    ...changesOfTables(before, now),
    ...changesOfLog(before, now),
  ]
}

/** A process that was not there before as it was when it started: its first reading may have lost a worker already. */
function newborn(reading: Reading): Reading {
  return {
    ...reading,
    workersReplaced: 0,
    condition: { ...reading.condition, logLinesDropped: 0, connectionsRefused: 0 },
  }
}

/** `known`: the readings before, by process. */
function comingAndGoing(before: Readings, now: Readings, known: ReadonlyMap<number, Reading>): Change[] {
  const pidsOf = ({ answered, silent }: Readings) => new Set([...answered.map(({ pid }) => pid), ...silent])
  const [earlier, later] = [pidsOf(before), pidsOf(now)]
  const answering = new Set(now.answered.map(({ pid }) => pid))
  return [
    ...[...earlier]
      .filter((pid) => !later.has(pid))
      .map((pid) => error('process_ended', endOf(pid, now.ended?.get(pid), known.get(pid)))),
    ...[...answering]
      .filter((pid) => !earlier.has(pid))
      .map((pid) => info('process_started', `Process ${pid} started to serve`)),
    ...now.silent
      // One that loads its models is busy.
      .filter((pid) => isReady(known.get(pid)))
      .map((pid) => error('process_silent', `Process ${pid} does not answer: it is stopped, or very busy`)),
    ...now.answered
      // A stall says more.
      .filter(({ pid }) => before.silent.includes(pid) && isReady(known.get(pid)))
      .filter((reading) => !hasStalled(known.get(reading.pid), reading))
      .map(({ pid }) => info('process_answers', `Process ${pid} answers again`)),
  ]
}

/** `last`: its last reading. */
function endOf(pid: number, how: number | string | undefined, last: Reading | undefined): string {
  const end =
    how === undefined ? 'ended' : typeof how === 'number' ? `ended with exit code ${how}` : `was ended by ${how}`
  const cause = how === 'SIGKILL' ? ', by somebody or for lack of memory' : ''
  const held = last === undefined ? '' : `; it held ${Math.round(last.residentBytes / 1e6)} MB`
  return `Process ${pid} ${end}${cause}${held}; its connections were closed`
}

const isReady = (reading: Reading | undefined): boolean => reading?.condition.unready.length === 0

function deathOf(lost: LostWorker | undefined): string {
  if (lost === undefined) return 'died and was replaced'
  const { folder, reason } = lost
  const work = folder === undefined ? '' : ` while it computed ${basename(dirname(folder))}/${basename(folder)}`
  return `died${work} and was replaced (${reason})`
}

/** A process that loads its models stands still now and then. */
const hasStalled = (before: Reading | undefined, now: Reading): boolean =>
  before !== undefined && isReady(before) && now.condition.stalls.count > before.condition.stalls.count

function changesOfProcess(before: Reading, now: Reading): Change[] {
  const grown = (read: (condition: Condition) => number) => read(now.condition) > read(before.condition)
  const jumped = now.clock - before.clock - (now.at - before.at)
  const changes: Change[] = []
  if (now.workersReplaced > before.workersReplaced)
    changes.push(error('worker_replaced', `A worker thread of process ${now.pid} ${deathOf(now.workerLost)}`))
  if (grown(({ logLinesDropped }) => logLinesDropped))
    changes.push(error('log_lines_dropped', 'Log lines can’t be written, as on a full disk, and are dropped'))
  if (grown(({ connectionsRefused }) => connectionsRefused))
    changes.push(error('connections_refused', 'Connections are closed on arrival: too many are open'))
  const { stalls } = now.condition
  if (hasStalled(before, now))
    changes.push(
      warning('process_stalled', `Process ${now.pid} stood still for ${secondsOf(stalls.lastMs)}: ${whyOf(stalls)}`),
    )
  if (Math.abs(jumped) > jump)
    changes.push(warning('clock_jumped', `The server’s clock jumped by ${jumped > 0 ? '+' : '−'}${spanOf(jumped)}`))
  return changes
}

const secondsOf = (ms: number) => `${(ms / 1000).toFixed(1)} s`
const whyOf = ({ lastBusy }: Condition['stalls']) =>
  lastBusy > 0.5 ? 'something kept its event loop busy' : 'it was stopped, or had no core'

function spanOf(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000)
  if (seconds >= 3600) return `${Math.round(seconds / 360) / 10} h`
  return seconds >= 60 ? `${Math.round(seconds / 6) / 10} min` : `${seconds} s`
}
