import { Command, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from '../config/cache-folder.ts'
import { parseColumns } from './columns.ts'
import type { CommonOptions } from './commands.ts'

/* `multigate compile` and `multigate bench`: their libraries are imported when a command runs. */

/** `signal` stops the command. */
export function createCompileCommand(signal: AbortSignal): Command {
  return graphCommand(new Command('compile'))
    .description('compile a saved graph into the cache that serving takes it from; docs/compiler.md')
    .option('--report', 'say what each pass did, and measure it', false)
    .option('--rows <number>', 'with --report: rows of the request that is measured', parseCount, 100)
    .addHelpText(
      'after',
      `
Examples:
  multigate compile ads-funnel --report
  multigate compile models/ads-funnel/1 --cache /var/cache/multigate
  multigate compile model.onnx --context sparse=0-12,dense=0-5 --report --json`,
    )
    .action(async (target: string, options: GraphOptions & { report: boolean; rows: number }) => {
      const { runCompile } = await import('./commands.ts')
      const { report, rows } = options
      await runCompile({ ...graphOptions(target, options, signal), report, rows })
    })
}

export function createBenchCommand(signal: AbortSignal): Command {
  return graphCommand(new Command('bench'))
    .description('measure a saved graph on this machine: as exported, compiled, by side, in int8')
    .addOption(
      new Option('--rows <numbers>', 'rows of a request, one after the other')
        .argParser(parseCounts)
        .default([1, 32, 100, 256], '1,32,100,256'),
    )
    .option('--requests <number>', 'requests of a call', parseCount, 1)
    .option('--seconds <number>', 'how long to measure each plan with each number of rows', parsePositive, 1)
    .option('--threads <number>', 'threads of a call, 64 at most', parseThreads, 1)
    .addHelpText(
      'after',
      `
Examples:
  multigate bench ads-funnel
  multigate bench model.onnx --context sparse=0-12,dense=0-5 --rows 1,100
  multigate bench model.onnx --requests 4 --rows 64 --json`,
    )
    .action(
      async (
        target: string,
        options: GraphOptions & { rows: number[]; requests: number; seconds: number; threads: number },
      ) => {
        const { runBench } = await import('./commands.ts')
        const { rows, requests, seconds, threads } = options
        await runBench({ ...graphOptions(target, options, signal), rows, requests, seconds, threads })
      },
    )
}

/** Adds the target and the options that both commands share. */
function graphCommand(command: Command): Command {
  return command
    .argument('<target>', "an ONNX file, the folder of a version or a model, or a model's name")
    .option('--models <folder>', 'folder of the models that have names', 'models')
    .option(
      '--context <columns>',
      "of an ONNX file: columns that belong to the context, as sparse=0-12,dense=0-5+9; all others are the candidate's",
    )
    .option('--cross <columns>', 'of an ONNX file: columns that depend on context and candidate')
    .option('--output <name>', 'of an ONNX file: the output that is wanted, where it has several')
    .option('--cache <folder>', 'folder of compiled plans (MULTIGATE_CACHE; `off`: none)')
    .option('--seed <number>', 'of the rows that are made up', parseCount, 1)
    .option('--json', 'print JSON', false)
}

/** Options that `compile` and `bench` share. */
interface GraphOptions {
  models: string
  context?: string
  cross?: string
  output?: string
  cache?: string
  seed: number
  json: boolean
}

function graphOptions(target: string, options: GraphOptions, signal: AbortSignal): CommonOptions {
  const { models, context, cross, output, cache, seed, json } = options
  return {
    target,
    models,
    context: context === undefined ? undefined : parseColumns(context),
    cross: cross === undefined ? undefined : parseColumns(cross),
    output,
    cache: cacheFolder(cache ?? process.env.MULTIGATE_CACHE ?? ''),
    seed,
    json,
    signal,
    out: process.stdout,
    err: process.stderr,
  }
}

function parseCount(value: string): number {
  if (/^\d{1,7}$/.test(value) && Number(value) > 0) return Number(value)
  throw new InvalidArgumentError('must be a whole number from 1 to 9999999.')
}

function parseThreads(value: string): number {
  if (parseCount(value) <= 64) return Number(value)
  throw new InvalidArgumentError('must be 64 at most.')
}

function parseCounts(value: string): number[] {
  return value.split(',').map((part) => parseCount(part.trim()))
}

function parsePositive(value: string): number {
  if (Number(value) > 0 && Number(value) <= 3600) return Number(value)
  throw new InvalidArgumentError('must be a number above 0, 3600 at most.')
}
