import { ModelError } from '../../base/errors.ts'
import { forecast, type Host, highestRate, lowestP99, processorAt, type RequestCost } from './cost.ts'

/** The demand, and the machines to serve it. */
export interface Demand {
  /** Requests per second, on average over Poisson arrivals. */
  rate: number
  candidates: number
  /** Whether requests name candidates and users by their keys. */
  byId?: boolean
  /** Bound of the 99th percentile of the latency, ms. */
  p99Ms: number
  /** Share of the candidates that are cached, and number of different candidates. */
  cached: number
  catalogue: number
  podCores: number
  coreHourPrice: number
  /** With two or more, the pods of the others carry the load when one zone is lost. */
  zones: number
}

export interface CapacityEstimate {
  /** Utilisation that the bound allows, at most `safeUtilisation`. */
  utilisation: number
  /** Processor time per request at this utilisation, µs. */
  processor: number
  p99: number
  /** Cores that requests keep busy, and cores needed at the utilisation. */
  busyCores: number
  cores: number
  pods: Pods
  /** MULTIGATE_PROCESSES and the workers of each process, by pod. */
  processes: number
  workers: number
  ratePerPod: number
  cache: CacheEstimate | undefined
  /** Bits per second, with the headers of packets; of all pods, and of the busiest when a zone is lost. */
  network: { in: number; out: number; podIn: number; podOut: number }
  cost: { perHour: number; perMillionPredictions: number; perMillionRequests: number }
}

export interface Pods {
  /** Enough while every zone works. */
  needed: number
  /** With the loss of a zone. */
  total: number
  perZone: number
}

export interface CacheEstimate {
  /** Candidates to keep, of one worker. */
  entries: number
  /** Bytes of one candidate. */
  entryBytes: number
  /** MULTIGATE_CANDIDATE_CACHE_BYTES of a pod: each worker has its own cache. */
  bytesPerPod: number
}

/** Busiest that cores and event loops should be: where `multigate_saturation` is to be held (docs/monitoring.md). */
export const safeUtilisation = 0.7
/** Bytes on the wire per byte of HTTP: 1,538 of an Ethernet frame, with its gap, for 1,448 of TCP with timestamps. */
export const framing = 1538 / 1448

/** Arithmetic alone. Throws INVALID_REQUEST for a bound that no number of cores keeps. */
export function planCapacity(demand: Demand, cost: RequestCost, entryBytes: number | undefined): CapacityEstimate {
  const { rate, p99Ms, candidates, podCores, coreHourPrice, zones } = demand
  const lowest = lowestP99(cost)
  const host = hostOf(cost, podCores)
  const ratePerPod = highestRate(cost, host, p99Ms, safeUtilisation)
  if (p99Ms < lowest || ratePerPod < 1)
    throw new ModelError(
      'INVALID_REQUEST',
      `--p99 ${p99Ms}: not feasible with any number of cores; the lowest feasible p99 on this machine is ${(Math.ceil(lowest * 100) / 100).toFixed(2)} ms, measured at ${Math.round(cost.points[0]!.utilisation * 100)} % utilisation`,
    )
  const { utilisation, processor, p99 } = forecast(cost, host, ratePerPod)
  const pods = podsFor(rate / ratePerPod, zones)
  const busyCores = (rate * processor) / 1e6
  const perHour = pods.total * podCores * coreHourPrice
  const perMillionRequests = (perHour / 3600 / rate) * 1e6
  const bits = (bytes: number, requests: number) => bytes * framing * 8 * requests
  // A lost zone's requests go to the other pods.
  const podRate = rate / (pods.total - (zones > 1 ? pods.perZone : 0))
  return {
    utilisation,
    processor,
    p99,
    busyCores,
    cores: busyCores / utilisation,
    pods,
    processes: host.processes,
    workers: Math.max(1, Math.floor(podCores / host.processes)),
    ratePerPod,
    cache: entryBytes === undefined || demand.cached === 0 ? undefined : cacheFor(demand, host, entryBytes),
    network: {
      in: bits(cost.bytesIn, rate),
      out: bits(cost.bytesOut, rate),
      podIn: bits(cost.bytesIn, podRate),
      podOut: bits(cost.bytesOut, podRate),
    },
    cost: { perHour, perMillionRequests, perMillionPredictions: perMillionRequests / candidates },
  }
}

/** As many processes as keep each event loop no busier than the cores. */
function hostOf(cost: RequestCost, cores: number): Host {
  const { eventLoop } = cost.points.at(-1)!
  const processor = processorAt(cost, 1)
  // A hundredth of a process is not worth another one.
  const processes = Math.ceil((cores * eventLoop) / processor - 0.01)
  return { cores, processes: Math.min(Math.max(1, processes), Math.max(1, Math.floor(cores))) }
}

/** Equal zones; with two or more, those that remain after a loss have `needed` pods. */
export function podsFor(load: number, zones: number): Pods {
  const needed = Math.max(1, Math.ceil(load))
  const perZone = Math.ceil(needed / Math.max(1, zones - 1))
  return { needed, perZone, total: perZone * zones }
}

function cacheFor({ cached, catalogue, podCores }: Demand, { processes }: Host, entryBytes: number): CacheEstimate {
  const entries = zipfShare(catalogue, cached)
  const workers = processes * Math.max(1, Math.floor(podCores / processes))
  return { entries, entryBytes, bytesPerPod: entries * entryBytes * workers }
}

/** Zipf exponent of the popularity of candidates, typical of traffic on ads and pages; the load test's too. */
export const popularity = 1.05

/** The number of most popular candidates, out of `catalogue`, that this share of the requests' candidates are. */
export function zipfShare(catalogue: number, share: number): number {
  let total = 0
  for (let rank = 1; rank <= catalogue; rank++) total += rank ** -popularity
  let sum = 0
  for (let rank = 1; rank <= catalogue; rank++) {
    sum += rank ** -popularity
    if (sum >= share * total) return rank
  }
  return catalogue
}
