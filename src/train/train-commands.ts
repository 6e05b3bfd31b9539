import { join } from 'node:path'
import { Command, Option } from 'commander'
import { cacheFolder } from '../config/cache-folder.ts'
import { multigateVersion, projectRoot } from '../model/base/project.ts'

/* `multigate train`. Libraries are imported when it runs. */

interface TrainCommandOptions {
  models: string
  force: boolean
  report?: string
  backend?: 'native' | 'wasm' | 'cpu'
}

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
    .option('--report <folder>', 'write report.html and report.json into this folder')
    .addOption(backendOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate train census-income                  a spec that comes with the project
  multigate train my/spec.yaml --models /models  your own data
  multigate train ads-funnel --force             replace the existing version

The version is written when training is complete; Ctrl-C leaves everything unchanged. A version that does not meet the\nconditions under \`publish\` in its spec is not written, and the exit code is 3.`,
    )
    .action(async (spec: string, options: TrainCommandOptions) => {
      const { runTrain } = await import('./commands.ts')
      const { models, force, report, backend } = options
      const command = ['multigate train', spec, ...(backend ? ['--backend', backend] : [])].join(' ')
      process.exitCode = await runTrain({
        spec,
        specs,
        models,
        force,
        backend,
        report,
        cache: cacheFolder(process.env.MULTIGATE_CACHE ?? ''),
        command,
        version: multigateVersion,
        now: Date.now,
        signal,
        out: process.stdout,
        err: process.stderr,
      })
    })
}
