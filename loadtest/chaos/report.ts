import { quantiles } from '../../src/tools/load/open-loop.ts'
import type { Machine } from '../machine.ts'
import { mebibytes, table, whole } from '../markdown.ts'
import type { Accounts, FaultEvent, Tally } from './accounts.ts'
import { burstFactor, type FaultKind, faultKinds } from './plan.ts'
import { type ChaosRun, deadline } from './run.ts'
import { processCount } from './server.ts'
import { type ChaosVerdict, mostGrowth, mostLate } from './verdict.ts'
import { tolerance } from './versions.ts'

const names: Record<FaultKind | 'none', string> = {
  swap: 'version swap',
  burst: `burst, ${burstFactor} × the rate`,
  'hostile clients': 'hostile clients',
  'killed thread': 'killed worker thread',
  'killed process': 'killed process',
  'frozen process': 'frozen process',
  'full plan cache': 'full disk of the plan cache',
  'full log disk': 'full disk of the log',
  'clock jump': 'wall clock that jumps',
  none: 'no fault',
}

type Row = Tally & { name: string; events: string }

/** `picture`: name of the picture's file next to the report. */
export function toMarkdown(run: ChaosRun, verdict: ChaosVerdict, machine: Machine, picture?: string): string {
  const { options, stop, longestStall, scrapes } = run
  const { accounts, violations } = verdict
  const { processor, cores, versions, date, loadBefore } = machine
  const latency = quantiles(run.calls.filter(({ outcome }) => outcome === 'right').map(({ at, end }) => end - at))
  const failedScrapes = scrapes.filter(({ failed }) => failed !== undefined).length
  return `# The test that tries to lose an answer

${date}, ${processor}, ${cores} cores, load average before ${loadBefore.toFixed(1)}, Node ${versions.node}. ${processCount} processes over TLS, with keys and an administration port, are asked
${options.rate} times a second for ${(options.seconds / 60).toFixed(1)} minutes, within ${deadline.deadlineMs} ms, at times that do not depend on the answers, while the faults of the
table happen (seed ${options.seed}); then SIGTERM comes while the load goes on. Every answer of status 200 is compared with ONNX Runtime's to
the exported graph of the version that it names, within ${tolerance}. Made by \`npm run loadtest -- chaos\`.

**${violations.length === 0 ? 'Every promise was kept.' : `${violations.length} promises were broken.`}** ${summary(accounts)}
${violations.map((violation) => `\n- ${violation}`).join('')}${violations.length === 0 ? '' : '\n'}${picture === undefined ? '' : `\n![Timeline of the run](${picture})\n`}
## Requests by the fault that they met

${table<Row>(
  {
    fault: ({ name }) => name,
    times: ({ events }) => events,
    sent: ({ sent }) => whole(sent),
    right: ({ right }) => whole(right),
    late: ({ late }) => whole(late),
    refused: ({ refused }) => whole(refused),
    'lost with a process or thread': ({ bound }) => whole(bound),
    'lost otherwise': ({ unbound }) => whole(unbound),
    wrong: ({ wrong }) => whole(wrong),
    'answered twice': ({ duplicated }) => whole(duplicated),
  },
  rowsOf(accounts),
)}

A request that met several faults counts for each. Refused: ${accounts.refusals.map(([reason, count]) => `${reason} ${whole(count)}`).join(', ') || 'none'}.
Late: right, but more than ${deadline.toleranceMs} ms after the deadline, which counts from sending; at most ${(mostLate * 100).toFixed(1)} % may be. ${notSent(accounts)}

Latency of right answers, with the time to connect and the generator's own stalls: p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms, largest ${latency.max.toFixed(0)} ms. The generator itself
stood still for at most ${longestStall.toFixed(0)} ms. ${whole(scrapes.length)} scrapes of \`/metrics\`; ${failedScrapes} failed, because their process was killed or stood still.
After SIGTERM, the service ended with ${stop.how} after ${((stop.end - stop.at) / 1000).toFixed(1)} s.

## Memory

${memoryText(verdict)}

## What took requests

The kernel says which connections a process held when it was killed; each can lose one request.

${table<Accounts['losses'][number]>(
  {
    fault: ({ loss }) => names[loss.kind],
    'at, s': ({ loss }) => (loss.at / 1000).toFixed(2),
    process: ({ loss }) => String(loss.pid),
    connections: ({ loss }) => (loss.kind === 'killed thread' ? '–' : String(loss.ports.size)),
    lost: ({ lost }) => String(lost),
    'failed (500)': ({ failed }) => String(failed),
    late: ({ late }) => String(late),
  },
  accounts.losses,
)}

## What happened

${table<FaultEvent>(
  {
    event: ({ what, kind }) => what || names[kind],
    'at, s': ({ at }) => (at / 1000).toFixed(1),
    'until all was well, s': ({ at, end }) => ((end - at) / 1000).toFixed(1),
  },
  [...run.events].sort((a, b) => a.at - b.at),
)}
${[...run.skipped].map(([kind, why]) => `\nNot made: ${names[kind]}, because ${why}.\n`).join('')}
Hostile clients sent ${whole(run.hostile.reduce((sum, { cases }) => sum + cases, 0))} cases of the fuzz test over TLS; answers by status: ${hostileText(run)}.
`
}

function summary({ total, losses }: Accounts): string {
  const killed = losses.filter(({ loss }) => loss.kind !== 'frozen process').length
  return `Of ${whole(total.sent)} requests ${whole(total.right)} were answered right in time and ${whole(total.refused)} refused by design; ${whole(total.bound)} were held by the ${killed} killed
processes and threads, ${whole(total.unbound)} lost otherwise, ${whole(total.wrong)} answered wrong, ${whole(total.duplicated)} answered twice.`
}

function rowsOf({ during, total }: Accounts): Row[] {
  const rows = (['none', ...faultKinds] as const).flatMap((kind): Row[] => {
    const tally = during.get(kind)
    return tally === undefined
      ? []
      : [{ ...tally, name: names[kind], events: kind === 'none' ? '–' : String(tally.events) }]
  })
  return [...rows, { ...total, name: '**all**', events: '–' }]
}

function notSent({ total }: Accounts): string {
  return total.notSent === 0 ? '' : `${whole(total.notSent)} were not sent, because all connections were busy.`
}

function memoryText({ memory }: ChaosVerdict): string {
  if (memory === undefined) return 'Not measured: the run was too short.'
  const { level, growth, from, to, samples } = memory
  return `A line through the proportional set sizes (PSS) of all processes, ${samples} samples from ${(from / 1000).toFixed(0)} s to ${(to / 1000).toFixed(0)} s, begins at ${mebibytes(level)} MiB and
changes by ${growth < 0 ? '−' : '+'}${mebibytes(Math.abs(growth))} MiB; the bound is +${mebibytes(mostGrowth)} MiB. Samples without all processes, as after a kill, are left out.`
}

function hostileText({ hostile }: ChaosRun): string {
  const counts = new Map<string, number>()
  for (const { answers } of hostile)
    for (const [status, count] of Object.entries(answers)) counts.set(status, (counts.get(status) ?? 0) + count)
  return [...counts].map(([status, count]) => `${whole(count)} × ${status}`).join(', ') || 'none'
}
