import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { listOf, readOptions } from '../options.ts'
import { scenarios } from './scenarios.ts'
import { type ServerKind, type ServerName, servers } from './servers.ts'

/** Needs no installation, and computes in float32. */
const isQuick = ({ installed, precision }: ServerKind) => !installed && precision === undefined

const serverNames = Object.keys(servers) as ServerName[]
const scenarioNames = scenarios.map(({ name }) => name)
const standardOut = 'loadtest/results/competitors.md'

export const description = 'Compare multigate with other model servers: the same model, requests, cores and generators'

export type ComparisonArguments = ReturnType<typeof readComparisonArguments>

/** The options, and what a short or a full run does where they say nothing. Durations are seconds. */
export function readComparisonArguments(argv: readonly string[], name = 'npm run loadtest -- competitors') {
  const given = readOptions(argv, { name, description, options })
  const { short = false, add = false } = given
  const standard = argv.length === 0
  if (add && given.out === undefined) new Command().error("error: option '--add' needs '--out <file.md>'")
  return {
    ...given,
    short,
    add,
    servers: given.servers ?? serverNames.filter((name) => !short || isQuick(servers[name])),
    scenarios: given.scenarios ?? scenarioNames,
    duration: given.duration || (short ? 1 : 4),
    openDuration: given.openDuration ?? (short ? 1 : 6),
    repeats: given.repeats || (short ? 1 : 3),
    connections: given.connections ?? (short ? [32] : [8, 32, 64]),
    loads: given.loads ?? (short ? [0.8, 3] : [0.5, 0.8, 1.5, 3]),
    openScenarios: given.openScenarios ?? given.scenarios ?? (short ? (['S3'] as const) : scenarioNames),
    python: given.python ?? join(given.cache, 'venvs'),
    out: given.out ?? (standard ? standardOut : undefined),
    readme: given.readme ?? standard,
  }
}

/** Folder of what the load test makes and installs. */
export function defaultCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate', 'loadtest')
}

const options = {
  short: [
    '',
    'about two minutes: only servers that need no installation, one number of connections, few open-loop runs',
  ],
  servers: ['<names>', `comma-separated, of ${serverNames.join(', ')}`, listOf(serverNames)],
  scenarios: ['<names>', `comma-separated, of ${scenarioNames.join(', ')} (default: all)`, listOf(scenarioNames)],
  duration: ['<seconds>', 'one closed-loop run, whole seconds (default: 4)', wholeNumber],
  openDuration: ['<seconds>', 'one open-loop run, whole seconds (default: 6); 0: no open loop', wholeNumber],
  repeats: ['<count>', 'closed-loop runs of each cell, interleaved, each in a new process (default: 3)', wholeNumber],
  connections: ['<numbers>', 'comma-separated, for the closed loop (default: 8,32,64)', numbers],
  loads: ['<numbers>', "comma-separated multiples of a server's own maximum (default: 0.5,0.8,1.5,3)", numbers],
  openScenarios: [
    '<names>',
    'comma-separated, for the open loop (default: those of --scenarios)',
    listOf(scenarioNames),
  ],
  deadline: ['<ms>', 'deadline in the open loop, ms', wholeNumber, 60],
  cache: ['<folder>', 'folder of models, requests and installed servers', String, defaultCache()],
  python: ['<folder>', 'folder of installed servers (default: venvs in the cache folder)'],
  from: ['<file.json>', 'write the results of an earlier run again, without measuring'],
  out: ['<file.md>', `write the results here, and as JSON next to it (a full run: ${standardOut})`],
  add: ['', 'keep the results at --out that were not measured now (needs --out)'],
  against: ['<file.json>', 'also print a table of these results beside earlier ones, without a judgement'],
  readme: ['', "also write the README's table (as a full run does)"],
} as const

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function numbers(text: string): number[] {
  const values = text.split(',').map(Number)
  if (!values.every((value) => value > 0 && value <= 10_000)) throw new InvalidArgumentError('They must be above 0.')
  return values
}
