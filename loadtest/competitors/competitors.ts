import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../src/base/errors.ts'
import { type Experiment, type Log, temporaryFolder } from '../experiment.ts'
import type { Machine } from '../machine.ts'
import { writeReadme } from '../readme.ts'
import { compareReports } from './against.ts'
import { type ComparisonArguments, description, readComparisonArguments } from './arguments.ts'
import { Bench, type Measure, mostRequestsPerSecond, openConnections, seed } from './bench.ts'
import { createClosedLoop } from './closed-loop.ts'
import { installPeers, pinnedVersions } from './installed-competitors.ts'
import { planCells, planSessions, type Session } from './plan.ts'
import { toMarkdown } from './report.ts'
import { createRequests } from './requests.ts'
import { addTo, type ComparisonReport, type FailedServer, isFailed } from './results.ts'
import { scenarios } from './scenarios.ts'
import { type ServerKind, type ServerName, servers } from './servers.ts'

export default {
  description,
  read: readComparisonArguments,
  async run(options, { machine, log }) {
    const measured = options.from ? await readReport(options.from) : await runComparison(options, machine, log)
    const { add, out, against } = options
    const report = add && out ? addTo(await readReport(out.replace(/(\.md)?$/, '.json')), measured) : measured
    if (options.readme) await writeReadme({ competitors: report })
    const errors = measured.cells
      .filter(({ server }) => server === 'multigate')
      .flatMap(({ closed }) => closed.map((run) => run.errors))
      .find((count) => count > 0)
    return {
      text: toMarkdown(report),
      json: report,
      note: against && compareReports(await readReport(against), measured),
      failure: errors === undefined ? undefined : `${errors} requests of a closed loop failed, see above`,
    }
  },
} satisfies Experiment<ComparisonArguments>

async function readReport(file: string): Promise<ComparisonReport> {
  return JSON.parse(await readFile(file, 'utf8')) as ComparisonReport
}

/**
 * Installs missing competitors, checks every server's answers, and measures the servers in turns. A competitor that
 * can't be installed is omitted, and one that fails from the scenarios in question, which the report mentions. Rejects
 * if a server of this project fails.
 */
async function runComparison(options: ComparisonArguments, machine: Machine, log: Log): Promise<ComparisonReport> {
  const wanted = options.servers.filter((name) => servers[name].installed)
  const missing = await installPeers(wanted, options.python)
  for (const [name, reason] of missing) log(`${name} is omitted: ${reason}`)
  const names = options.servers.filter((name) => !missing.has(name))
  const chosen = scenarios.filter(({ name }) => options.scenarios.includes(name))
  const folder = await temporaryFolder(options.cache)
  const closedLoop = createClosedLoop()
  const requests = createRequests(join(folder, 'requests'), seed, options.short ? 4 : 1)
  const bench = new Bench(options, { folder, requests, closedLoop, date: machine.date, log })
  const cells = planCells(names, chosen)
  log(`${cells.length} cells; closed loop by ${closedLoop.generator}`)
  const failed: FailedServer[] = []
  const runAll = async (sessions: Session[], measure: Measure) => {
    for (const session of sessions) {
      const { server } = session
      const cells = session.cells.filter(({ scenario }) => !isFailed(failed, server, scenario.name))
      if (cells.length === 0) continue
      try {
        await bench.run({ ...session, cells }, measure)
      } catch (error) {
        // A server of this project has to work; a precision may be none of this machine's, or of this model's.
        const { installed, precision }: ServerKind = servers[server]
        if (!installed && precision === undefined) throw error
        const reason = reasonOf(error)
        const names = [...new Set(cells.map(({ scenario }) => scenario.name))]
        failed.push(...names.map((scenario) => ({ server, scenario, reason })))
        log(`${server} is omitted from ${names.join(', ')}: ${reason}`)
      }
    }
  }
  for (let repeat = 0; repeat < options.repeats; repeat++)
    await runAll(planSessions(cells, repeat), (cell, server) => bench.measureClosed(cell, server, repeat))
  const open = cells.filter(
    ({ form, candidates, scenario }) =>
      options.openScenarios.includes(scenario.name) && (!options.short || (form === 'tensors' && candidates === 'new')),
  )
  if (options.openDuration > 0) await runAll(planSessions(open, 0), (cell, server) => bench.measureOpen(cell, server))
  return {
    machine,
    method: {
      short: options.short,
      generator: closedLoop.generator,
      seconds: options.duration,
      repeats: options.repeats,
      connections: options.connections,
      openSeconds: options.openDuration,
      openConnections,
      deadlineMs: options.deadline,
      mostRequestsPerSecond,
      largestDifference: Math.max(0, ...Object.values(bench.differences)),
      differences: bench.differences,
    },
    servers: await Promise.all(names.map(describeServer)),
    missing: [...missing].map(([name, reason]) => ({ name: servers[name as ServerName].title, reason })),
    failed,
    cells: bench.results.filter(({ closed }) => closed.length > 0),
  }
}

async function describeServer(name: ServerName): Promise<ComparisonReport['servers'][number]> {
  return { name: servers[name].title, versions: servers[name].installed ? await pinnedVersions(name) : {} }
}
