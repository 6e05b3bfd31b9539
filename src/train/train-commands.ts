import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from '../config/cache-folder.ts'
import { multigateVersion, projectRoot } from '../model/base/project.ts'

/* `multigate train` and `multigate evaluate`: their libraries are imported when a command runs. */

const specs = join(projectRoot, 'src/train/specs')
const specArgument = 'path of a spec (.yaml or .json), or the name of one in src/train/specs'
const backendOption = new Option(
  '--backend <name>',
  'TensorFlow backend; default: the fastest that works here',
).choices(['native', 'wasm', 'cpu'])

/** `signal` stops the training; nothing is written then. */
export function createTrainCommand(signal: AbortSignal): Command {
  return new Command('train')
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
      const { runTrain } = await import('./commands.ts')
      const { models, force, backend } = options
      const command = ['multigate train', spec, ...(backend ? ['--backend', backend] : [])].join(' ')
      await runTrain({
        spec,
        specs,
        models,
        force,
        backend,
        command,
        version: multigateVersion,
        now: Date.now,
        signal,
        out: process.stdout,
        err: process.stderr,
      })
    })
}

export function createEvaluateCommand(signal: AbortSignal): Command {
  return new Command('evaluate')
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
        const { runEvaluate } = await import('./commands.ts')
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
}

function parseUrl(value: string): string {
  if (URL.canParse(value) && /^https?:/.test(value)) return value
  throw new InvalidArgumentError('must be an http:// or https:// address.')
}
