#!/usr/bin/env node
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { createServeCommand } from './configuration.ts'
import { ModelError, reasonOf } from './model/errors.ts'
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

export function createProgram(signal: AbortSignal): Command {
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
    .addHelpText(
      'after',
      `
Examples:
  multigate evaluate census-income                               models/census-income/1
  multigate evaluate census-income --url http://127.0.0.1:3000   what a running service answers
  multigate evaluate ads-funnel --model ads-funnel-moe           another model on the same rows`,
    )
    .action(async (spec: string, options: { models: string; url?: string; model?: string; modelVersion?: string }) => {
      const { runEvaluate } = await import('./train/commands.ts')
      const { models, url, model, modelVersion } = options
      await runEvaluate({
        spec,
        specs,
        models,
        url,
        model,
        modelVersion,
        fetch,
        sleep,
        signal,
        out: process.stdout,
        err: process.stderr,
      })
    })

  program.addCommand(
    createServeCommand(async (flags) => {
      const { runServer } = await import('./run-server.ts')
      await runServer(flags)
    }),
  )

  return program
}

/** Runs the command line; answers the exit code. Errors of the user's making are told without a stack. */
export async function runCli(args: string[], signal: AbortSignal): Promise<number> {
  const program = createProgram(signal)
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

function parseUrl(value: string): string {
  if (URL.canParse(value) && /^https?:/.test(value)) return value
  throw new InvalidArgumentError('must be an http:// or https:// address.')
}

/** The folder of package.json, from sources and from compiled files alike. */
function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}

if (process.argv[1] !== undefined && import.meta.filename === realpathSync(process.argv[1])) {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort(new Error('interrupted')))
  process.exitCode = await runCli(process.argv.slice(2), controller.signal)
}
