import { median } from '../../../base/arrays.ts'
import type { LiveClient, LiveEvent, LiveModel, LiveSample as Sample } from '../../../schemas/live-figures.ts'
import {
  clientFaults,
  failuresIn,
  losses,
  lossFelt,
  mostFrequent,
  shedOutcomes,
  sumOf,
} from '../../../schemas/outcomes.ts'
import { mean, meanRates, total } from '../../api/averages.ts'
import { compact, listed, milliseconds, percent } from '../../parts/format.ts'

export interface Finding {
  tone: 'warning' | 'bad'
  title: string
  text: string
  /** ms since it was last true; undefined while it is. */
  endedMs?: number
  /** The list of Requests that has single ones. */
  list?: 'failed'
}

/** Subjects of notices, most urgent first. */
const kinds = ['shed', 'failing', 'slow'] as const

type Found = Partial<Record<(typeof kinds)[number], Finding>>

/** Durations above the largest bucket look alike, ms. */
const longestMeasured = 2500

/** Fewer requests over the time that is looked at are none: a person tries something. */
const fewest = 5

/**
 * A notice, and a name in it, stays for so long after it was last true, ms: near a limit it would come and go each
 * second.
 */
const stays = 10_000

/** Not true for so long, ms: it has ended. */
const ends = 3000

/**
 * Finds what deserves attention in the traffic, second by second. `now`: ms since 1970, by the clock of the samples.
 */
export function createTrafficFindings(): (
  live: { fine: Sample[]; coarse: Sample[]; models: LiveModel[]; clients: LiveClient[]; events: LiveEvent[] },
  now: number,
) => Finding[] {
  const last = new Map<keyof Found, { at: number; finding: Finding }>()
  /** When each model last had each error: a snapshot has those of one second. */
  const failures = new Map<string, { at: number; model: string; code: string }>()

  return ({ fine, coarse, models, clients, events }, now) => {
    for (const { model, failed } of models)
      for (const code of Object.keys(failed)) failures.set(`${code}\n${model}`, { at: now, model, code })
    for (const [key, { at }] of failures) if (now - at > stays) failures.delete(key)
    const failing = (wanted: string) =>
      [...failures.values()].flatMap(({ model, code }) => (code === wanted ? model : []))

    // Older ones are of another time: there are none while nobody watches.
    const recent = fine.filter(({ at }) => at > now - 15_000).slice(-10)
    const before = [...coarse, ...fine].filter(({ at }) => at < now - 30_000)
    const found = recent.length === 0 ? {} : findIn(recent, before, failing, clients, lossIn(events, now))
    return kinds.flatMap((kind) => {
      const finding = found[kind]
      if (finding !== undefined) last.set(kind, { at: now, finding })
      const kept = last.get(kind)
      if (kept === undefined || now - kept.at >= stays) return []
      // Near a limit it is true again soon.
      const isOver = now - kept.at > ends
      return [isOver ? { ...kept.finding, endedMs: now - kept.at } : kept.finding]
    })
  }
}

function findIn(
  recent: Sample[],
  before: Sample[],
  failing: (code: string) => string[],
  clients: readonly LiveClient[],
  loss: string | undefined,
): Found {
  const found: Found = {}
  const cause = loss === undefined ? bottleneck(recent) : `Just before: ${loss}.`
  const limit = `${riseOf(recent, before)}${mostlyFrom(clients)}${cause}`
  const shed = meanRates(recent, ({ shed }) => shed)
  const requests = mean(recent, ({ requests }) => requests)
  const [[reason] = []] = mostFrequent(shed)
  const shedRate = sumOf(shed)
  const isMuch = (rate: number) => rate > 0.001 * requests && rate * recent.length >= fewest
  if (reason !== undefined && isMuch(shedRate))
    found.shed = {
      tone: 'bad',
      title: `Over ten seconds, ${percent(Math.min(1, shedRate / Math.max(requests, shedRate)), 2)} of the requests were refused or dropped.`,
      text: `The most frequent reason: ${shedName(reason)}${namesOf(shedOutcomes.flatMap(failing))}. ${limit}`,
    }
  const others = failuresIn(meanRates(recent, ({ failed }) => failed))
  const [[code] = []] = mostFrequent(others)
  if (code !== undefined && isMuch(sumOf(others)))
    found.failing = {
      tone: clientFaults.includes(code) ? 'warning' : 'bad',
      title: `Over ten seconds, ${percent(sumOf(others) / Math.max(requests, sumOf(others)), 2)} of the requests failed.`,
      text: `The most frequent error: ${rated(outcomeName(code), others[code]!)}${namesOf(failing(code))}. ${alsoOf(others, code)}${failuresOf(clients)}`,
      list: 'failed',
    }
  const p99 = Math.max(...recent.map(({ stages }) => stages.total?.p99 ?? 0))
  const deadline = recent.at(-1)!.deadline_ms
  if (p99 > 0.8 * deadline)
    found.slow = {
      tone: 'warning',
      title: `The slowest requests ${p99 > deadline ? 'miss' : 'come close to'} their deadline.`,
      text: `p99 is up to ${milliseconds(p99)}${p99 >= longestMeasured ? ' or more' : ''}, the deadline ${milliseconds(deadline)}.${found.shed === undefined ? ` ${limit}` : ''}`,
    }
  return found
}

/** The client with most candidates, where it has more than half. */
function mostlyFrom(clients: readonly LiveClient[]): string {
  const all = total(clients.map(({ candidates }) => candidates))
  const first = clients.find(({ candidates }) => candidates > all / 2)
  return first === undefined
    ? ''
    : `${percent(first.candidates / all, 2)} of the candidates come from ${first.client}. `
}

const rated = (name: string, rate: number) => `${name} (${compact(rate)}/s)`

/** The other errors. */
function alsoOf(rates: Record<string, number>, first: string): string {
  const others = mostFrequent(rates)
    .filter(([code]) => code !== first)
    .slice(0, 3)
  return others.length === 0 ? '' : `Also: ${others.map(([code, rate]) => rated(outcomeName(code), rate)).join(', ')}. `
}

/** The clients with most failures. */
function failuresOf(clients: readonly LiveClient[]): string {
  const first = clients
    .filter(({ failed }) => failed > 0)
    .sort((a, b) => b.failed - a.failed)
    .slice(0, 3)
  return first.length === 0 ? '' : `Clients: ${first.map(({ client, failed }) => rated(client, failed)).join(', ')}. `
}

/** In one order always, so that the text stays where it is. */
function namesOf(models: string[]): string {
  const names = [...new Set(models)].sort()
  return names.length === 0 ? '' : `, for ${listed(names, 3)}`
}

/** How many times as many candidates as usual are worth a sentence. */
const muchMore = 3

/**
 * A sentence about a rise far beyond the usual, which is the median of the last hour before; empty where there is none.
 */
function riseOf(recent: Sample[], before: Sample[]): string {
  const usual = before.length === 0 ? 0 : median(before.map(({ candidates }) => candidates))
  const now = Math.max(...recent.map(({ candidates }) => candidates))
  return usual > 0 && now > muchMore * usual
    ? `Candidates per second rose from ${compact(usual)} to ${compact(now)}. `
    : ''
}

/** The text of the event that took capacity away just now. */
function lossIn(events: readonly LiveEvent[], now: number): string | undefined {
  return events.findLast(
    ({ kind, until }) => (kind === 'connections_refused' || losses.includes(kind)) && now - until < lossFelt,
  )?.text
}

function bottleneck(recent: Sample[]): string {
  const loop = mean(recent, ({ loop_busy }) => loop_busy)
  const workers = mean(recent, ({ workers_busy }) => workers_busy)
  if (workers > 0.85 && workers >= loop) return 'The workers are the limit: the models cost more than the machine has.'
  if (loop > 0.85 && mean(recent, ({ cores }) => cores) < 0.6)
    return 'The event loop is held up although it gets little of a core: other programs take the cores.'
  if (loop > 0.85) return 'The event loop is the limit: more processes would help.'
  return 'Neither the workers nor the event loop is busy all the time: it comes in bursts, or other work takes the cores.'
}

/** Why requests are shed, in words; names are those of the metric `multigate_shed_total`. */
const shedReasons: Record<string, string> = {
  busy: 'too busy to read it',
  pending_bytes: 'too many bytes pending',
  unread: 'answer not read',
  queue_full: 'queue full',
  predicted_wait: 'would wait too long',
  quota: 'share of the queue used up',
  deadline: 'deadline passed',
}

export const shedName = (reason: string): string => shedReasons[reason] ?? reason.replaceAll('_', ' ')
const outcomes: Record<string, string> = {
  cancelled: 'client went away',
  rate_limited: 'limit of its key used up',
  unauthorized: 'no valid key',
  forbidden: 'key lacks the scope',
}

export const outcomeName = (outcome: string): string => outcomes[outcome] ?? outcome.replaceAll('_', ' ')
