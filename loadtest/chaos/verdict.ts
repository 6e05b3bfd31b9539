import { mebibytes } from '../markdown.ts'
import { type Accounts, account, type Call, type Loss } from './accounts.ts'
import { unreported } from './console.ts'
import { fitMemory, type MemoryFit } from './memory.ts'
import type { ChaosRun } from './run.ts'

export interface ChaosVerdict {
  accounts: Accounts
  memory: MemoryFit | undefined
  /** The promises that were broken; empty for a run that holds them. */
  violations: string[]
}

/**
 * By which memory may grow after the first tenth of the run, bytes: bodies and unread answers, 32 MiB each, and the
 * decompressors of two processes, four of 16 MiB each, come and go with hostile clients.
 */
export const mostGrowth = 192 * 2 ** 20
/**
 * Late answers while no process stood still, as a share of all. Runs on two cores that other programs kept busy had 0.3
 * % of them, after a process was killed in a burst; whether a quiet machine has any is not known.
 */
export const mostLate = 0.001
/** Shorter runs say nothing about memory, s. */
const leastForMemory = 120
/** Examples of each kind in the list. */
const shown = 5
/** Within which a scrape may fail after a process was killed or stood still, ms. */
const scrapePatience = 3000

/** Holds what a run has seen to what the service promises. */
export function judgeRun(run: ChaosRun): ChaosVerdict {
  const { calls, events, losses } = run
  const accounts = account(calls, events, losses)
  const memory = fitMemory(run.memory, run.stop.at)
  const { unboundCalls, wrongCalls, lateCalls, total } = accounts
  const violations = [
    ...listed(
      unboundCalls,
      'request was lost that no killed process or thread held',
      'requests were lost that no killed process or thread held',
    ),
    ...listed(wrongCalls, 'answer is wrong', 'answers are wrong'),
    ...(lateCalls.length > mostLate * total.sent
      ? listed(lateCalls, 'answer is late without a frozen process', 'answers are late without a frozen process')
      : []),
    ...listed(
      calls.filter(({ duplicates }) => duplicates > 0),
      'request was answered twice',
      'requests were answered twice',
    ),
    ...(run.strangers.length > 0
      ? [`${run.strangers.length} answers belong to no request: ${run.strangers.slice(0, shown)}`]
      : []),
    ...(total.right === 0 ? ['no request was answered right'] : []),
    ...hostileFaults(run),
    ...scrapeFaults(run),
    ...unreported(run.events, losses, run.console, run.stop.at),
    ...memoryFaults(run, memory),
    ...run.wrong,
  ]
  return { accounts, memory, violations }
}

function listed(calls: readonly Call[], one: string, several: string): string[] {
  if (calls.length === 0) return []
  const examples = calls.slice(0, shown).map(describeCall).join('; ')
  return [`${calls.length} ${calls.length === 1 ? one : several}: ${examples}${calls.length > shown ? '; …' : ''}`]
}

function describeCall({ at, end, reason, outcome, port, pid }: Call): string {
  const where = `from port ${port}${pid === undefined ? '' : ` to process ${pid}`}`
  return `sent at ${(at / 1000).toFixed(3)} s ${where}, ${outcome} after ${Math.round(end - at)} ms (${reason})`
}

function hostileFaults({ hostile }: ChaosRun): string[] {
  const faults = hostile.flatMap(({ faults }) => faults)
  return faults.length === 0
    ? []
    : [`${faults.length} answers to hostile clients are wrong: ${faults.slice(0, shown).join('; ').slice(0, 2000)}`]
}

function scrapeFaults({ scrapes, losses }: ChaosRun): string[] {
  const isDueTo = (at: number, end: number) => (loss: Loss) =>
    loss.kind !== 'killed thread' && at <= loss.until + scrapePatience && end >= loss.at
  const failed = scrapes.filter(({ failed, at, end }) => failed !== undefined && !losses.some(isDueTo(at, end)))
  const replaced = Math.max(0, ...scrapes.map((one) => one.replaced))
  const killed = losses.filter(({ kind }) => kind === 'killed process').length
  return [
    ...(failed.length > 0
      ? [
          `${failed.length} scrapes failed while all processes ran, the first at ${(failed[0]!.at / 1000).toFixed(1)} s: ${failed[0]!.failed}`,
        ]
      : []),
    ...(replaced > killed ? [`${replaced} processes were replaced, and only ${killed} killed`] : []),
  ]
}

function memoryFaults({ options }: ChaosRun, memory: MemoryFit | undefined): string[] {
  // Heaps take about a minute to find their size.
  if (options.seconds < leastForMemory) return []
  if (memory === undefined) return ['memory was not measured: there were never enough processes']
  const { growth, level } = memory
  if (growth <= mostGrowth) return []
  return [`memory grew from ${mebibytes(level)} to ${mebibytes(level + growth)} MiB after the first tenth of the run`]
}
