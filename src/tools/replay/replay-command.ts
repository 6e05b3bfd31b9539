import { Command, InvalidArgumentError } from 'commander'
import { hideCredentialsIn } from '../../base/address-credentials.ts'
import { type CommandContext, numberFrom, wholeNumber } from '../../base/command.ts'
import { reasonOf } from '../../base/errors.ts'
import { multigateVersion } from '../../base/project.ts'
import { cacheFolder } from '../../base/settings.ts'
import { addServiceOptions, type GivenService, serviceOf } from '../client/service-options.ts'
import { parseGate } from './gate.ts'
import type { ReplayFlags } from './run-replay.ts'

const names = (text: string) => text.split(',').map((name) => name.trim())

const gate = (text: string) => {
  try {
    return parseGate(text)
  } catch (error) {
    throw new InvalidArgumentError(reasonOf(error))
  }
}

/** `multigate replay`. Libraries are imported when it runs. */
export function createReplayCommand(context: CommandContext): Command {
  const command = new Command('replay')
    .description('ask a version again for what a prediction log recorded; see docs/prediction-log.md')
    .argument('<log>', 'the prediction log: a folder or file, s3://bucket/prefix or gs://bucket/prefix')
    .requiredOption('--model <name>', 'model whose requests are asked again')
    .requiredOption('--against <version>', 'the version that is asked')
    .option('--baseline <version>', 'the version that it is compared with; default: the recorded answers')
    .option('--versions <list>', 'only requests that these versions answered, separated by commas', names)
    .option('--sample <share>', 'only this share of the recorded requests', numberFrom(1e-6, 1), 1)
    .option('--slices <fields>', 'fields whose values are also compared one by one, separated by commas', names)
    .option('--models <folder>', 'folder of models', 'models')
    .option('--seed <number>', 'seed of the samples', wholeNumber(0, 2 ** 31 - 1), 1)
    .option('--report <folder>', 'write report.html and report.json into this folder')
    .option('--gate <conditions>', 'exit code 3 where a task misses one, as overlap=.9,winners=.05; see the docs', gate)
    .option('--skip-damaged', 'do without the rest of damaged files', false)
    .option('--json', 'print JSON', false)
  addServiceOptions(command, 'ask a running service, through POST /predict')
  return command
    .addHelpText(
      'after',
      `
Examples:
  multigate replay log --model ads --against 4                the recorded answers, and those of version 4
  multigate replay log --model ads --against 4 --baseline 3 --gate overlap=.9,winners=.05 --report out
  multigate replay log --model ads --against 4 --url http://127.0.0.1:3000`,
    )
    .action(async (log: string, flags: Omit<ReplayFlags, 'slices'> & GivenService & { slices?: string[] }) => {
      const { runReplay } = await import('./run-replay.ts')
      context.exitCode = await runReplay({
        ...context,
        ...flags,
        slices: flags.slices ?? [],
        log,
        service: serviceOf(flags),
        cache: cacheFolder(process.env.MULTIGATE_CACHE ?? ''),
        command: hideCredentialsIn(['multigate', 'replay', ...context.args.slice(1)].join(' ')),
        multigateVersion,
        now: Date.now,
      })
    })
}
