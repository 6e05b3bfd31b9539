import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { listOf } from '../option-values.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { type ServerKind, type ServerName, servers } from './servers.ts'

export interface ComparisonArguments {
  short: boolean
  servers: ServerName[]
  scenarios: Scenario['name'][]
  /** Seconds of one closed-loop run. */
  duration: number
  /** Seconds of one open-loop run. */
  openDuration: number
  repeats: number
  /** Numbers of connections of the closed loop, each in a run of its own. */
  connections: number[]
  /** Loads of the open loop, as multiples of the server's own closed-loop maximum. */
  loads: number[]
  /** Scenarios of the open loop. */
  openScenarios: Scenario['name'][]
  deadline: number
  cache: string
  /** Folder of the servers that are installed. */
  python: string
  /** Results of an earlier run, to be written once more instead of measured. */
  from: string | undefined
  out: string | undefined
  /** Keep what there is at `out` and was not measured now. */
  add: boolean
  readme: boolean
  /** Results of an earlier run, to be told beside these. */
  against: string | undefined
}

/** Needs no installation, and computes in float32. */
const isQuick = ({ installed, precision }: ServerKind) => !installed && precision === undefined

const serverNames = Object.keys(servers) as ServerName[]
const scenarioNames = scenarios.map(({ name }) => name)
const standardOut = 'loadtest/results/competitors.md'

export const description = 'Compare multigate with other model servers: the same model, requests, cores and generators'

export function readComparisonArguments(
  argv: readonly string[],
  name = 'npm run loadtest -- competitors',
): ComparisonArguments {
  const command = new Command(name)
    .description(description)
    .option(
      '--short',
      'about a minute: only servers that need no installation, one number of connections, few open-loop runs',
    )
    .option('--servers <names>', `comma-separated, of ${serverNames.join(', ')}`, listOf(serverNames))
    .option(
      '--scenarios <names>',
      `comma-separated, of ${scenarioNames.join(', ')} (default: all)`,
      listOf(scenarioNames),
    )
    .option('--duration <seconds>', 'one closed-loop run, whole seconds (default: 4)', wholeNumber)
    .option('--open-duration <seconds>', 'one open-loop run, whole seconds (default: 6); 0: no open loop', wholeNumber)
    .option(
      '--repeats <count>',
      'closed-loop runs of each cell, interleaved, each in a new process (default: 3)',
      wholeNumber,
    )
    .option('--connections <numbers>', 'comma-separated, for the closed loop (default: 8,32,64)', numbers)
    .option(
      '--loads <numbers>',
      "comma-separated multiples of a server's own maximum (default: 0.5,0.8,1.5,3)",
      numbers,
    )
    .option(
      '--open-scenarios <names>',
      'comma-separated, for the open loop (default: those of --scenarios)',
      listOf(scenarioNames),
    )
    .option('--deadline <ms>', 'deadline in the open loop, ms', wholeNumber, 60)
    .option('--cache <folder>', 'folder of models, requests and installed servers', defaultCache())
    .option('--python <folder>', 'folder of installed servers (default: venvs in the cache folder)')
    .option('--from <file.json>', 'write the results of an earlier run again, without measuring')
    .option('--out <file.md>', `write the results here, and as JSON next to it (a full run: ${standardOut})`)
    .option('--add', 'keep the results at --out that were not measured now (needs --out)')
    .option('--against <file.json>', 'also print a table of these results beside earlier ones, without a judgement')
    .option('--readme', "also write the README's table (as a full run does)")
  const given = command.parse(argv, { from: 'user' }).opts()
  const short = given.short === true
  const standard = argv.length === 0
  if (given.add && given.out === undefined) command.error("error: option '--add' needs '--out <file.md>'")
  return {
    short,
    servers: given.servers ?? serverNames.filter((name) => !short || isQuick(servers[name])),
    scenarios: given.scenarios ?? scenarioNames,
    duration: given.duration || (short ? 1 : 4),
    openDuration: given.openDuration ?? (short ? 1 : 6),
    repeats: given.repeats || (short ? 1 : 3),
    connections: given.connections ?? (short ? [32] : [8, 32, 64]),
    loads: given.loads ?? (short ? [0.8, 3] : [0.5, 0.8, 1.5, 3]),
    openScenarios: given.openScenarios ?? given.scenarios ?? (short ? ['S3'] : scenarioNames),
    deadline: given.deadline,
    cache: given.cache,
    python: given.python ?? join(given.cache, 'venvs'),
    from: given.from,
    out: given.out ?? (standard ? standardOut : undefined),
    add: given.add === true,
    against: given.against,
    readme: given.readme ?? standard,
  }
}

/** Folder of what the load test makes and installs. */
export function defaultCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate', 'loadtest')
}

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function numbers(text: string): number[] {
  const values = text.split(',').map(Number)
  if (!values.every((value) => value > 0 && value <= 10_000)) throw new InvalidArgumentError('They must be above 0.')
  return values
}
