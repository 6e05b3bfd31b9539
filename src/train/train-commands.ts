import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from '../config/cache-folder.ts'
import { multigateVersion, projectRoot } from '../model/base/project.ts'

/* `multigate train` and `multigate evaluate`. Libraries are imported when a command runs. */

const specs = join(projectRoot, 'src/train/specs')
const specArgument = 'path of a spec (.yaml or .json), or name of a spec in src/train/specs'
const backendOption = new Option('--backend <name>', 'TensorFlow backend; default: the fastest available').choices([
  'native',
  'wasm',
  'cpu',
])

/** `signal` stops the training without writing anything. */
export function createTrainCommand(signal: AbortSignal): Command {
  return new Command('train')
    .description('train a model version from a spec; see docs/training.md')
    .argument('<spec>', specArgument)
    .option('--models <folder>', 'folder of models; the version is written to <folder>/<name>/<version>', 'models')
    .option('--force', 'replace an existing version', false)
    .addOption(backendOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate train census-income                  a spec that comes with the project
  multigate train my/spec.yaml --models /models  your own data
  multigate train ads-funnel --force             replace the existing version

The version is written when training is complete; Ctrl-C leaves everything unchanged.`,
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
    .description("evaluate a version on disk or a running service on a spec's test rows")
    .argument('<spec>', specArgument)
    .option('--models <folder>', 'folder of models', 'models')
    .option('--url <address>', 'evaluate a running service instead, through POST /predict', parseUrl)
    .option('--model <name>', "name of the model; default: the spec's")
    .option('--model-version <number>', "the version; default: the spec's on disk, the service's choice with --url")
    .addOption(
      new Option('--int8', 'also compare int8 with float32, for a version on disk').conflicts('url').default(false),
    )
    .addHelpText(
      'after',
      `
Examples:
  multigate evaluate census-income                               models/census-income/1
  multigate evaluate census-income --url http://127.0.0.1:3000   a running service
  multigate evaluate ads-funnel --model ads-funnel-moe           another model on the same rows
  multigate evaluate ads-funnel --int8                           also compare int8 with float32`,
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
