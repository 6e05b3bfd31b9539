/**
 * M/D/c: Poisson arrivals, a constant service time, c servers, first come, first served. The distribution of the wait
 * follows Franx, "A simple solution for the M/D/c waiting time distribution" (Operations Research Letters 29, 2001):
 * all of its terms are positive, so that it is exact to rounding.
 */
export interface Queue {
  /** Probability of a wait of at most `x` service times. */
  waitAtMost(x: number): number
  /** The quantile `q` of the wait, in service times. */
  waitQuantile(q: number): number
}

/** Highest utilisation that is computed: above it, queues are longer than any bound of latency allows. */
export const fullUtilisation = 0.95
/** Largest change of a probability after the last step of the iteration. */
const tolerance = 1e-10
/** Accuracy of a quantile, service times. */
const accuracy = 1e-3

/** `utilisation` is the share of the servers' time that is used, above 0 and at most `fullUtilisation`. */
export function createQueue(servers: number, utilisation: number): Queue {
  if (!(utilisation > 0 && utilisation <= fullUtilisation) || !Number.isInteger(servers) || servers < 1)
    throw new RangeError(`no queue of ${servers} servers at a utilisation of ${utilisation}`)
  /** Mean arrivals per service time. */
  const load = servers * utilisation
  const inSystem = stationary(servers, load)
  /** Probability that at most this number of requests waits. */
  const waiting = cumulative(inSystem, servers)

  function waitAtMost(x: number): number {
    if (x < 0) return 0
    const k = Math.floor(x) + 1
    const mean = load * (k - x)
    // Logarithms, since e^−mean may be less than the smallest number.
    let log = -mean
    let sum = 0
    for (let j = 0; j < k * servers; j++) {
      sum += Math.exp(log) * waiting(k * servers - 1 - j)
      log += Math.log(mean / (j + 1))
    }
    return Math.min(1, sum)
  }

  return {
    waitAtMost,
    waitQuantile(q) {
      if (waitAtMost(0) >= q) return 0
      let high = 1
      while (waitAtMost(high) < q) high *= 2
      let low = high / 2
      if (high === 1) low = 0
      while (high - low > accuracy) {
        const middle = (low + high) / 2
        if (waitAtMost(middle) >= q) high = middle
        else low = middle
      }
      return high
    },
  }
}

/**
 * The distribution of the number in the system: a service time later all that are served now have left, so that
 * L' = max(0, L − c) + arrivals. Iterated from the empty system.
 */
function stationary(servers: number, load: number): Float64Array {
  const arrivals = poisson(load)
  // The tail falls at least by this exponent per request; e^−32 remains.
  const size = servers + Math.ceil(16 / (1 - load / servers)) + arrivals.length
  let now = new Float64Array(size)
  now[0] = 1
  for (;;) {
    const next = new Float64Array(size)
    let idle = 0
    for (let n = 0; n <= servers; n++) idle += now[n]!
    add(next, arrivals, 0, idle)
    for (let n = servers + 1; n < size; n++) add(next, arrivals, n - servers, now[n]!)
    const change = next.reduce((most, value, n) => Math.max(most, Math.abs(value - now[n]!)), 0)
    now = next
    if (change < tolerance * (1 - load / servers)) return now
  }
}

function add(to: Float64Array, arrivals: Float64Array, from: number, weight: number): void {
  if (weight === 0) return
  for (let a = 0; a < arrivals.length; a++) {
    const n = Math.min(to.length - 1, from + a)
    to[n] = to[n]! + weight * arrivals[a]!
  }
}

/** Probabilities of 0, 1, … arrivals, until the rest is negligible. */
function poisson(mean: number): Float64Array {
  const probabilities: number[] = []
  let log = -mean
  for (let n = 0; n <= mean || log > -37; n++) {
    probabilities.push(Math.exp(log))
    log += Math.log(mean / (n + 1))
  }
  return Float64Array.from(probabilities)
}

/** Waiting requests are those beyond the number of servers. */
function cumulative(inSystem: Float64Array, servers: number): (waiting: number) => number {
  const sums = new Float64Array(inSystem.length)
  let sum = 0
  inSystem.forEach((probability, n) => {
    sum += probability
    sums[n] = sum
  })
  return (waiting) => sums[Math.min(sums.length - 1, servers + waiting)]!
}
