import { Command, Option } from 'commander'
import { type CommandContext, wholeNumber } from '../../base/command.ts'
import { bundledSpecs, multigateVersion } from '../../base/project.ts'
import { cacheFolder } from '../../base/settings.ts'

/* `multigate train`. Libraries are imported when it runs. */

interface TrainCommandOptions {
  models: string
  force: boolean
  report?: string
  threads: number
  from?: string
  run?: string
  resume: boolean
}

const specArgument = 'path of a spec (.yaml or .json), or name of a spec in src/tools/train/specs'
const threadsOption = new Option('--threads <count>', 'threads; the weights depend on their number')
  .argParser(wholeNumber(1, 256))
  .default(1)

/** The context's signal stops the training without writing anything. */
export function createTrainCommand(context: CommandContext): Command {
  return new Command('train')
    .description('train a model version from a spec; see docs/training.md')
    .argument('<spec>', specArgument)
    .option('--models <folder>', 'folder of models; the version is written to <folder>/<name>/<version>', 'models')
    .option('--force', 'replace an existing version', false)
    .option('--report <folder>', 'write report.html, report.json and history.jsonl into this folder')
    .addOption(threadsOption)
    .option('--from <model>', 'go on from a version, by its folder or as <name>[/<version>]; writes the next version')
    .option('--resume', 'go on with a run that was interrupted', false)
    .option('--run <folder>', 'folder of what a run needs to be resumed, and of history.jsonl; default: in the cache')
    .addHelpText(
      'after',
      `
Examples:
  multigate train census-income                  a spec that comes with the project
  multigate train my/spec.yaml --models /models  your own data
  multigate train ads-funnel --force             replace the existing version
  multigate train shop.yaml --from shop          refresh the highest version of shop with new rows
  multigate train shop.yaml --resume             after a kill: the weights are those of an uninterrupted run

The version is written when training is complete; Ctrl-C leaves the models unchanged, and --resume goes on\nafter the last complete epoch. A version that does not meet the\nconditions under \`publish\` in its spec is not written, and the exit code is 3.`,
    )
    .action(async (spec: string, options: TrainCommandOptions) => {
      const { runTrain } = await import('./run-train.ts')
      const { models, force, report, threads, from, run, resume } = options
      const more = [...(from ? ['--from', from] : []), ...(threads > 1 ? ['--threads', threads] : [])]
      const command = ['multigate train', spec, ...more].join(' ')
      context.exitCode = await runTrain({
        spec,
        specs: bundledSpecs,
        models,
        force,
        report,
        threads,
        from,
        run,
        resume,
        cache: cacheFolder(process.env.MULTIGATE_CACHE ?? ''),
        command,
        version: multigateVersion,
        now: Date.now,
        signal: context.signal,
        out: context.out,
        err: context.err,
      })
    })
}
