import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from './app/cache-folder.ts'
import { createPinCommand, createUnpinCommand } from './app/pin-commands.ts'
import type { Start } from './app/start.ts'
import { parseColumns } from './bench/columns.ts'
import type { CommonOptions } from './bench/commands.ts'
import { createServeCommand } from './config/configuration.ts'
import { createExportCommand } from './convert/export-command.ts'
import { createInitCommand, createInspectCommand } from './convert/graph-commands.ts'
import { createImportCommand } from './convert/import-command.ts'
import { createVerifyCommand } from './convert/verify-command.ts'
import { ModelError, reasonOf } from './model/base/errors.ts'
import { SpecError } from './train/spec.ts'

/*
 * `multigate`: commands for people. Each is imported when it is asked for, so that none pays for another's libraries.
 */

const root = projectRoot(import.meta.dirname)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const specs = join(root, 'src/train/specs')

/** Exit codes: 1 anything failed, 2 wrong usage, 130 interrupted. */
const interrupted = 130

const specArgument = 'path of a spec (.yaml or .json), or the name of one in src/train/specs'
const backendOption = new Option(
  '--backend <name>',
  'TensorFlow backend; default: the fastest that works here',
).choices(['native', 'wasm', 'cpu'])

export function createProgram(signal: AbortSignal, start?: Start): Command {
  const program = new Command('multigate')
    .description('Multi-task ranking models: train, evaluate, serve')
    .version(version)
    .showHelpAfterError('(--help lists commands and options)')

  program
    .command('train')
    .description('make a model version of a training spec; see docs/training.md')
    .argument('<spec>', specArgument)
    .option('--models <folder>', 'where versions are written, as <folder>/<name>/<version>', 'models')
    .option('--force', 'replace a version that is there already', false)
    .addOption(backendOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate train census-income                  a spec that comes with the project
  multigate train my/spec.yaml --models /models  your own data
  multigate train ads-funnel --force             again, in place of the version that is there

Nothing is written before training is done; Ctrl-C leaves everything as it was.`,
    )
    .action(async (spec: string, options: { models: string; force: boolean; backend?: 'native' | 'wasm' | 'cpu' }) => {
      const { runTrain } = await import('./train/commands.ts')
      const { models, force, backend } = options
      const command = ['multigate train', spec, ...(backend ? ['--backend', backend] : [])].join(' ')
      await runTrain({
        spec,
        specs,
        models,
        force,
        backend,
        command,
        version,
        now: Date.now,
        signal,
        out: process.stdout,
        err: process.stderr,
      })
    })

  program
    .command('evaluate')
    .description("judge a model on its spec's test rows: a version on disk, or a running service")
    .argument('<spec>', specArgument)
    .option('--models <folder>', 'where the version is, as <folder>/<name>/<version>', 'models')
    .option('--url <address>', 'ask a running service instead, through POST /predict', parseUrl)
    .option('--model <name>', "the model's name; default: the spec's")
    .option('--model-version <number>', "the version; default: the spec's on disk, the newest of a service")
    .addOption(
      new Option('--int8', 'say what int8 would cost on these rows, of a version on disk')
        .conflicts('url')
        .default(false),
    )
    .addHelpText(
      'after',
      `
Examples:
  multigate evaluate census-income                               models/census-income/1
  multigate evaluate census-income --url http://127.0.0.1:3000   what a running service answers
  multigate evaluate ads-funnel --model ads-funnel-moe           another model on the same rows
  multigate evaluate ads-funnel --int8                           and what int8 would cost on them`,
    )
    .action(
      async (
        spec: string,
        options: { models: string; url?: string; model?: string; modelVersion?: string; int8: boolean },
      ) => {
        const { runEvaluate } = await import('./train/commands.ts')
        const { models, url, model, modelVersion, int8 } = options
        await runEvaluate({
          spec,
          specs,
          models,
          url,
          model,
          modelVersion,
          int8,
          cache: cacheFolder(process.env.MULTIGATE_CACHE ?? ''),
          now: Date.now,
          fetch,
          sleep,
          signal,
          out: process.stdout,
          err: process.stderr,
        })
      },
    )

  const graphCommand = (command: Command) =>
    command
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
  program
    .addCommand(
      graphCommand(new Command('compile'))
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
          const { runCompile } = await import('./bench/commands.ts')
          const { report, rows } = options
          await runCompile({ ...graphOptions(target, options, signal), report, rows })
        }),
    )
    .addCommand(
      graphCommand(new Command('bench'))
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
            const { runBench } = await import('./bench/commands.ts')
            const { rows, requests, seconds, threads } = options
            await runBench({ ...graphOptions(target, options, signal), rows, requests, seconds, threads })
          },
        ),
    )

  const convert = {
    version,
    signal,
    cacheFolder: (option: string | undefined) => cacheFolder(option ?? process.env.MULTIGATE_CACHE ?? ''),
  }
  program
    .addCommand(createInspectCommand())
    .addCommand(createInitCommand())
    .addCommand(createImportCommand(convert))
    .addCommand(createExportCommand(convert))
    .addCommand(createPinCommand())
    .addCommand(createUnpinCommand())
    .addCommand(createVerifyCommand())
  program.addCommand(
    createServeCommand(async (flags) => {
      const { runServer } = await import('./cluster/run-server.ts')
      await runServer(flags, start)
    }),
  )

  return program
}

/** Runs the command line; answers the exit code. Errors of the user's making are told without a stack. */
export async function runCli(args: string[], signal: AbortSignal, start?: Start): Promise<number> {
  const program = createProgram(signal, start)
  for (const command of [program, ...program.commands]) command.exitOverride()
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (signal.aborted) {
      console.error('Stopped; nothing was written.')
      return interrupted
    }
    const expected = error instanceof SpecError || error instanceof ModelError
    console.error(expected || !(error instanceof Error) || !process.env.DEBUG ? reasonOf(error) : error.stack)
    return 1
  }
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

function parseUrl(value: string): string {
  if (URL.canParse(value) && /^https?:/.test(value)) return value
  throw new InvalidArgumentError('must be an http:// or https:// address.')
}

/** The folder of package.json, from sources and from compiled files alike. */
function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}
