import { Command, InvalidArgumentError, Option } from 'commander'
import { type CommandContext, wholeNumber } from '../../base/command.ts'
import { cacheFolder } from '../../base/settings.ts'
import { parseColumns } from './columns.ts'
import type { BenchFlags, CompileFlags } from './run-bench.ts'

/* `multigate compile` and `multigate bench`. Libraries are imported when a command runs. */

/** The context's signal stops the command. */
export function createCompileCommand(context: CommandContext): Command {
  return graphCommand(new Command('compile'))
    .description('compile a saved graph into the cache that servers use; see docs/compiler.md')
    .option('--report', 'describe and measure each pass', false)
    .option('--rows <number>', 'with --report: rows per measured request', parseCount, 100)
    .addHelpText(
      'after',
      `
Examples:
  multigate compile ads-funnel --report
  multigate compile models/ads-funnel/1 --cache /var/cache/multigate
  multigate compile model.onnx --context sparse=0-12,dense=0-5 --report --json`,
    )
    .action(async (target: string, flags: CompileFlags) => {
      const { runCompile } = await import('./run-bench.ts')
      await runCompile({ ...context, ...flags, target, cache: cacheOf(flags) })
    })
}

export function createBenchCommand(context: CommandContext): Command {
  return graphCommand(new Command('bench'))
    .description('measure a saved graph on this machine: as exported, compiled, split by side, in bfloat16 and int8')
    .addOption(
      new Option('--rows <numbers>', 'rows per request, measured in turn')
        .argParser(parseCounts)
        .default([1, 32, 100, 256], '1,32,100,256'),
    )
    .option('--requests <number>', 'requests per call', parseCount, 1)
    .option(
      '--list-values <number>',
      'values of each list, where it has as many places; default: any number',
      parseCount,
    )
    .option('--seconds <number>', 'time to measure each plan with each number of rows, s', parsePositive, 1)
    .option('--threads <number>', 'threads per call, at most 64', parseThreads, 1)
    .addHelpText(
      'after',
      `
Examples:
  multigate bench ads-funnel
  multigate bench model.onnx --context sparse=0-12,dense=0-5 --rows 1,100
  multigate bench model.onnx --requests 4 --rows 64 --json`,
    )
    .action(async (target: string, flags: BenchFlags) => {
      const { runBench } = await import('./run-bench.ts')
      await runBench({ ...context, ...flags, target, cache: cacheOf(flags) })
    })
}

/** Adds the argument and the options of both commands. */
function graphCommand(command: Command): Command {
  return command
    .argument('<target>', "an ONNX file, the folder of a version or a model, or a model's name")
    .option('--models <folder>', 'folder of models, for models given by name', 'models')
    .option(
      '--context <columns>',
      'for an ONNX file: context columns, such as sparse=0-12,dense=0-5+9; the others belong to the candidate',
      parseColumns,
    )
    .option('--cross <columns>', 'for an ONNX file: cross columns', parseColumns)
    .option('--output <name>', 'for an ONNX file with several outputs: the output to compute')
    .option('--cache <folder>', 'folder of compiled plans, or off (MULTIGATE_CACHE)')
    .option('--seed <number>', 'seed of random rows', parseCount, 1)
    .option('--json', 'print JSON', false)
}

function cacheOf({ cache }: { cache?: string | undefined }): string | undefined {
  return cacheFolder(cache ?? process.env.MULTIGATE_CACHE ?? '')
}

const parseCount = wholeNumber(1, 9_999_999)

function parseThreads(value: string): number {
  if (parseCount(value) <= 64) return Number(value)
  throw new InvalidArgumentError('must be at most 64.')
}

function parseCounts(value: string): number[] {
  return value.split(',').map((part) => parseCount(part.trim()))
}

function parsePositive(value: string): number {
  if (Number(value) > 0 && Number(value) <= 3600) return Number(value)
  throw new InvalidArgumentError('must be a number above 0 and at most 3600.')
}
