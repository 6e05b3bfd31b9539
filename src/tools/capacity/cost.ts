import { createQueue, fullUtilisation } from './queue.ts'

/** The cost of requests of one kind to a server on this machine, measured at several loads. */
export interface RequestCost {
  /** Cores and processes of the measured server. */
  cores: number
  processes: number
  /** By rising utilisation; the last one with the server as busy as it gets. */
  points: CostPoint[]
  /** Bytes of a request and of its answer, with headers. */
  bytesIn: number
  bytesOut: number
}

export interface CostPoint {
  /** Requests per second. */
  rate: number
  /** Busy share of the server's cores. */
  utilisation: number
  /** Processor time per request, and the event loop's part of it, µs. */
  processor: number
  eventLoop: number
  /** Latency, ms; undefined where requests did not arrive by themselves. */
  p50: number | undefined
  p99: number | undefined
}

/** Where a request is served: cores that processes, each with one event loop, share. */
export interface Host {
  cores: number
  processes: number
}

/** The utilisation of the cores and of each event loop, and the latency at a rate. */
export interface Forecast {
  utilisation: number
  eventLoopUtilisation: number
  /** Processor time per request, µs. */
  processor: number
  /** 99th percentile of the latency, ms; infinite where the host is overloaded. */
  p99: number
}

/** Accuracy of rates, as a share. */
const accuracy = 1e-4

/**
 * The processor time per request at a utilisation, µs, between the measured points: it falls with the load, because the
 * event loop reads several requests per turn and engine calls hold several requests.
 */
export function processorAt({ points }: RequestCost, utilisation: number): number {
  return between(points, utilisation, ({ processor }) => processor)
}

/** The lowest p99 of latency that any number of cores reaches, ms: the one measured at the lowest load. */
export function lowestP99({ points }: RequestCost): number {
  return points[0]!.p99!
}

/**
 * The forecast for this rate. Latency is that at the lowest measured load, plus the wait for the cores (M/D/c) or for
 * the event loop (M/D/1), whichever is longer. The wait is scaled so that it agrees with the highest measured load.
 */
export function forecast(cost: RequestCost, host: Host, rate: number): Forecast {
  const utilisation = utilisationAt(cost, host.cores, rate)
  const eventLoop = between(cost.points, utilisation, (point) => point.eventLoop)
  const eventLoopUtilisation = (rate * eventLoop) / 1e6 / host.processes
  const wait = waitFor(host, utilisation, eventLoopUtilisation, processorAt(cost, utilisation), eventLoop)
  return {
    utilisation,
    eventLoopUtilisation,
    processor: processorAt(cost, utilisation),
    p99: lowestP99(cost) + waitScale(cost) * wait,
  }
}

/** The highest rate at which p99 keeps the bound and neither the cores nor an event loop are busier than `most`. */
export function highestRate(cost: RequestCost, host: Host, p99Ms: number, most = fullUtilisation): number {
  const holds = (rate: number) => {
    const { utilisation, eventLoopUtilisation, p99 } = forecast(cost, host, rate)
    return utilisation <= most && eventLoopUtilisation <= most && p99 <= p99Ms
  }
  let high = (2 * host.cores * 1e6) / Math.min(...cost.points.map(({ processor }) => processor))
  let low = 0
  while (high - low > accuracy * high) {
    const middle = (low + high) / 2
    if (holds(middle)) low = middle
    else high = middle
  }
  return low
}

/** The p99 wait for a core or the event loop, ms, of service times in µs. */
function waitFor(
  { cores }: Host,
  utilisation: number,
  eventLoopUtilisation: number,
  processor: number,
  eventLoop: number,
): number {
  return Math.max(wait(cores, utilisation) * processor, wait(1, eventLoopUtilisation) * eventLoop) / 1000
}

/** p99 waits that are known, in service times: searches ask for the same ones again. */
const waits = new Map<string, number>()
/** Utilisations between 0 and 1 that differ. */
const steps = 400

function wait(servers: number, utilisation: number): number {
  if (utilisation > fullUtilisation) return Number.POSITIVE_INFINITY
  const rounded = Math.max(1, Math.round(utilisation * steps)) / steps
  const key = `${servers} ${rounded}`
  let known = waits.get(key)
  if (known === undefined) {
    known = createQueue(servers, rounded).waitQuantile(0.99)
    waits.set(key, known)
  }
  return known
}

/** Measured wait at the highest load with a latency, as a multiple of the calculated one; at least 1. */
function waitScale(cost: RequestCost): number {
  const { utilisation, eventLoop, processor, rate, p99 } = cost.points.findLast((point) => point.p99 !== undefined)!
  const loops = (rate * eventLoop) / 1e6 / cost.processes
  const calculated = waitFor(
    cost,
    Math.min(utilisation, fullUtilisation),
    Math.min(loops, fullUtilisation),
    processor,
    eventLoop,
  )
  return calculated === 0 ? 1 : Math.max(1, (p99! - lowestP99(cost)) / calculated)
}

/** The busy share of `cores` at this rate; above 1 where they are too few. */
function utilisationAt(cost: RequestCost, cores: number, rate: number): number {
  const busy = (utilisation: number) => (rate * processorAt(cost, utilisation)) / 1e6 / cores
  let [low, high] = [0, busy(0)]
  // The cost falls by less than the load rises, so that there is one solution.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (busy(middle) > middle) low = middle
    else high = middle
  }
  return high
}

/** Linear between points, constant outside them. */
function between(points: readonly CostPoint[], utilisation: number, of: (point: CostPoint) => number): number {
  const after = points.findIndex((point) => point.utilisation >= utilisation)
  if (after === 0) return of(points[0]!)
  if (after < 0) return of(points.at(-1)!)
  const [a, b] = [points[after - 1]!, points[after]!]
  const share = (utilisation - a.utilisation) / (b.utilisation - a.utilisation)
  return of(a) + share * (of(b) - of(a))
}
