import { formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import { count } from '../../schemas/check.ts'
import { type CapacityEstimate, type Demand, framing, popularity, safeUtilisation } from './estimate.ts'
import { warnOfOthers } from './load-runs.ts'
import type { MeasuredCost } from './measure-cost.ts'

export interface CapacityReport {
  demand: Demand
  measured: MeasuredCost
  plan: CapacityEstimate
}

/** The report as text. */
export function formatCapacity(report: CapacityReport): string {
  const { demand, measured } = report
  const heading = `${measured.target}: ${grouped(demand.rate)} requests/s of ${count(demand.candidates, 'candidate')}, p99 within ${demand.p99Ms} ms, ${percent(demand.cached)} of the candidates cached`
  return [
    heading,
    '',
    ...warnOfOthers([measured]),
    `Measured on this machine (${measured.processorName}, server on ${count(measured.cost.cores, 'core')}):`,
    '',
    pointTable(measured),
    '',
    engineTable(measured),
    '',
    'Needed:',
    '',
    neededTable(report),
    '',
    ...dominant(report),
    '',
    'Assumptions:',
    ...assumptions(report).map((line) => `- ${line}`),
  ].join('\n')
}

const milliseconds = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2))
const percent = (share: number) => `${Math.round(share * 100)} %`
const money = (value: number) => value.toPrecision(3)

function pointTable({ cost }: MeasuredCost): string {
  const header = [
    'load, requests/s',
    'utilisation',
    'processor, µs/request',
    'event loop, µs/request',
    'p50, ms',
    'p99, ms',
  ]
  const rows = cost.points.map(({ rate, utilisation, processor, eventLoop, p50, p99 }) => [
    grouped(rate),
    percent(utilisation),
    processor.toFixed(1),
    eventLoop.toFixed(1),
    milliseconds(p50),
    milliseconds(p99),
  ])
  return formatTable(header, rows, 0)
}

function engineTable({ engine }: MeasuredCost): string {
  const rows = engine.map(({ requests, variant, call, row, request }) => [
    requests,
    variant,
    call.toFixed(1),
    row.toFixed(3),
    request.toFixed(1),
  ])
  return formatTable(['engine alone', 'variant', 'µs/call', 'µs/row', 'µs/request'], rows, 2)
}

function neededTable({ demand, measured, plan }: CapacityReport): string {
  const { pods, cache, network, cost } = plan
  const zones =
    demand.zones > 1
      ? `, ${pods.perZone} in each of ${demand.zones} zones; ${pods.needed} without the loss of a zone`
      : ''
  const rows = [
    ['processor time per request', `${plan.processor.toFixed(1)} µs`],
    [
      'cores',
      `${plan.cores.toFixed(2)}, ${percent(plan.utilisation)} busy (${plan.busyCores.toFixed(2)} cores of work)`,
    ],
    ['pods', `${pods.total} of ${count(demand.podCores, 'core')}${zones}`],
    ['rate per pod', `${grouped(plan.ratePerPod)} requests/s, p99 ${plan.p99.toFixed(1)} ms`],
    [
      'settings per pod',
      `MULTIGATE_PROCESSES=${plan.processes} MULTIGATE_WORKERS=${plan.workers}${cache === undefined ? '' : ` MULTIGATE_CANDIDATE_CACHE_BYTES=${cache.bytesPerPod}`}`,
    ],
    [
      'candidate cache',
      cache === undefined
        ? 'none: candidates are not looked up'
        : `${formatBytes(cache.bytesPerPod)} per pod: ${grouped(cache.entries)} candidates of ${formatBytes(cache.entryBytes)} in each worker`,
    ],
    [
      'network in',
      `${bits(network.in)}; per pod ${bits(network.podIn)} (${formatBytes(measured.cost.bytesIn)} per request)`,
    ],
    [
      'network out',
      `${bits(network.out)}; per pod ${bits(network.podOut)} (${formatBytes(measured.cost.bytesOut)} per answer)`,
    ],
    [
      'cost per million predictions',
      `${money(cost.perMillionPredictions)} (per million requests ${money(cost.perMillionRequests)}, per hour ${money(cost.perHour)})`,
    ],
  ]
  return rows.map(([name, value]) => `${name!.padEnd(30)}${value}`).join('\n')
}

function bits(perSecond: number): string {
  return perSecond >= 1e9 ? `${(perSecond / 1e9).toFixed(2)} Gbit/s` : `${(perSecond / 1e6).toFixed(1)} Mbit/s`
}

/** Lines on the part that takes most processor time, and on the limit of a pod. */
function dominant({ measured, plan, demand }: CapacityReport): string[] {
  const { eventLoop, cost, engine } = measured
  const { processor, eventLoop: loop } = cost.points.at(-1)!
  const bytes = eventLoop.byte * (cost.bytesIn + cost.bytesOut)
  const [part, share] =
    loop > processor / 2 ? ['The event loop', loop / processor] : ['The workers', 1 - loop / processor]
  const least = Math.min(...engine.map(({ request }) => request))
  const lines = [
    `${part} dominate${part === 'The workers' ? '' : 's'}: ${percent(share)} of the processor time at full load. The event loop takes ${eventLoop.request.toFixed(1)} µs per request and ${bytes.toFixed(1)} µs for its bytes (${(eventLoop.byte * 1000).toFixed(2)} ns per byte); the engine alone takes from ${least.toFixed(1)} µs for ${count(demand.candidates, 'candidate')}.`,
  ]
  if (plan.utilisation < safeUtilisation - 0.01) {
    const limit = plan.p99 > 0.98 * demand.p99Ms ? 'bound on p99' : 'number of event loops'
    lines.push(`The ${limit} keeps utilisation below ${percent(safeUtilisation)}.`)
  }
  return lines
}

function assumptions({ measured, demand, plan }: CapacityReport): string[] {
  const cached =
    measured.cached === undefined
      ? 'The served graph does not look candidates up.'
      : `${percent(measured.cached)} of the measured candidates were cached.`
  return [
    `Requests are ${demand.byId ? 'keys' : 'named columns'} as JSON over kept connections, without TLS, keys and compression. ${cached}`,
    `A core of a pod is as fast as one here, and the cost per request falls with utilisation as measured here (${measured.callRequests.toFixed(1)} requests per engine call at ${percent(measured.cost.points[1]!.utilisation)}).`,
    `Arrivals are independent (Poisson). p99 is that at the lowest measured load, plus the p99 wait for ${count(demand.podCores, 'core')} (M/D/c) or an event loop (M/D/1), scaled to the highest measured load. Latency includes the load generator's own delay (${measured.generatorDelay.toFixed(1)} ms at p99).`,
    `Cores and event loops are busy for at most ${percent(safeUtilisation)}, even without one zone.`,
    ...(plan.cache === undefined
      ? []
      : [
          `${grouped(demand.catalogue)} different candidates with Zipf popularity (exponent ${popularity}): the most popular ones that are ${percent(demand.cached)} of the requested ones are kept.`,
        ]),
    `The network carries ${((framing - 1) * 100).toFixed(1)} % more than HTTP: headers of Ethernet, IP and TCP.`,
    `A core costs ${demand.coreHourPrice} per hour; a prediction is one candidate.`,
  ]
}
