import type { Outcome } from './judge.ts'
import type { FaultKind } from './plan.ts'

/** A request and how it ended. */
export interface Call {
  /** When it was sent, ms from the start. */
  at: number
  /** When it ended, ms. */
  end: number
  outcome: Outcome
  reason: string
  version?: string | undefined
  /** The port of the client's side of the connection; 0 where it wasn't connected. */
  port: number
  /** Process that held the connection when the request failed; undefined where none did. */
  pid?: number | undefined
  /** Answers beyond the first. */
  duplicates: number
}

/** Something that happened to the server. */
export interface FaultEvent {
  kind: FaultKind
  /** Begin, and when the service had recovered, ms. */
  at: number
  end: number
  /** The action that was taken. */
  what: string
}

/** Something that takes requests with it: those that it held at that moment, as the kernel has it. */
export interface Loss {
  kind: 'killed process' | 'killed thread' | 'frozen process'
  pid: number
  at: number
  /** When a frozen process went on, or a killed one was gone, ms; `at` for a thread. */
  until: number
  /** Client ports of the connections that the process held. */
  ports: ReadonlySet<number>
}

/** Longest time for which a client sends on a connection that is dead, ms: it shares its cores with the server. */
const noticeMs = 1500
/** Longest time until such a request has ended, ms: a client waits for 10 s. */
const endMs = 12_000

/**
 * Binds requests without a good answer to what took them. A killed process loses at most one request for each
 * connection that it held, sent before the client noticed; a killed thread fails what was sent to its process before;
 * what a frozen process held may be late.
 */
export function bindLosses(calls: readonly Call[], losses: readonly Loss[]): Map<Call, Loss> {
  const bound = new Map<Call, Loss>()
  const taken = new Set<string>()
  for (const call of calls) {
    const loss = losses.find((one) => isDueTo(call, one) && !taken.has(`${one.at} ${call.port}`))
    if (loss === undefined) continue
    bound.set(call, loss)
    if (call.outcome === 'lost') taken.add(`${loss.at} ${call.port}`)
  }
  return bound
}

function isDueTo({ outcome, at, end, port, pid }: Call, loss: Loss): boolean {
  const isMeanwhile = at <= loss.until + noticeMs && end >= loss.at && end <= loss.until + endMs
  if (!isMeanwhile) return false
  if (outcome === 'lost') return loss.kind === 'killed process' && loss.ports.has(port)
  if (outcome === 'failed') return loss.kind === 'killed thread' && pid === loss.pid && at <= loss.at
  if (outcome === 'late') return loss.kind === 'frozen process' && loss.ports.has(port)
  return false
}

export interface Tally {
  sent: number
  right: number
  /** Right, after the deadline. */
  late: number
  refused: number
  /** Lost or failed, and bound to what took it. */
  bound: number
  /** Lost or failed for no reason that is known. */
  unbound: number
  wrong: number
  duplicated: number
  /** Not sent, for want of a connection. */
  notSent: number
}

export interface Accounts {
  total: Tally
  /** Requests under way while a fault of this kind lasted; one counts for each kind that it met. */
  during: Map<FaultKind | 'none', Tally & { events: number }>
  /** Refusals by their reasons, most first. */
  refusals: [reason: string, count: number][]
  /** The losses that took requests, and the number of requests. */
  losses: { loss: Loss; lost: number; failed: number; late: number }[]
  /** Requests that must not be, the first ones of each kind described. */
  unboundCalls: Call[]
  wrongCalls: Call[]
  /** Late without a frozen process. */
  lateCalls: Call[]
}

/** Counts how requests ended, in total and by the faults that they met. */
export function account(calls: readonly Call[], events: readonly FaultEvent[], losses: readonly Loss[]): Accounts {
  const bound = bindLosses(calls, losses)
  const total = emptyTally()
  const during: Accounts['during'] = new Map()
  for (const { kind } of events) {
    const tally = during.get(kind) ?? { ...emptyTally(), events: 0 }
    tally.events++
    during.set(kind, tally)
  }
  const none = { ...emptyTally(), events: 0 }
  const refusals = new Map<string, number>()
  for (const call of calls) {
    const isBound = bound.has(call)
    count(total, call, isBound)
    const kinds = new Set(events.filter(({ at, end }) => call.at <= end && call.end >= at).map(({ kind }) => kind))
    for (const kind of kinds) count(during.get(kind)!, call, isBound)
    if (kinds.size === 0) count(none, call, isBound)
    if (call.outcome === 'refused' || call.outcome === 'no listener')
      refusals.set(call.reason, (refusals.get(call.reason) ?? 0) + 1)
  }
  during.set('none', none)
  const taken = [...bound]
  const by = (loss: Loss, outcome: Outcome) =>
    taken.filter(([call, one]) => one === loss && call.outcome === outcome).length
  const isLost = ({ outcome }: Call) => outcome === 'lost' || outcome === 'failed'
  return {
    total,
    during,
    refusals: [...refusals].sort(([, a], [, b]) => b - a),
    losses: losses.map((loss) => ({
      loss,
      lost: by(loss, 'lost'),
      failed: by(loss, 'failed'),
      late: by(loss, 'late'),
    })),
    unboundCalls: calls.filter((call) => isLost(call) && !bound.has(call)),
    wrongCalls: calls.filter(({ outcome }) => outcome === 'wrong'),
    lateCalls: calls.filter((call) => call.outcome === 'late' && !bound.has(call)),
  }
}

function emptyTally(): Tally {
  return { sent: 0, right: 0, late: 0, refused: 0, bound: 0, unbound: 0, wrong: 0, duplicated: 0, notSent: 0 }
}

function count(tally: Tally, { outcome, duplicates }: Call, isBound: boolean): void {
  if (outcome === 'not sent') {
    tally.notSent++
    return
  }
  tally.sent++
  tally.duplicated += duplicates
  if (outcome === 'lost' || outcome === 'failed') tally[isBound ? 'bound' : 'unbound']++
  else if (outcome === 'no listener') tally.refused++
  else tally[outcome]++
}
