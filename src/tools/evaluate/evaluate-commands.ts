import { Command, Option } from 'commander'
import { hideCredentialsIn } from '../../base/address-credentials.ts'
import { type CommandContext, wholeNumber } from '../../base/command.ts'
import { bundledSpecs, multigateVersion } from '../../base/project.ts'
import { cacheFolder } from '../../base/settings.ts'
import { addServiceOptions, type GivenService, serviceOf } from '../client/service-options.ts'
import type { CalibrateFlags } from './run-calibrate.ts'
import type { QuantizeFlags } from './run-quantize.ts'
import type { JudgeFlags, RowsFlags, RowsOptions } from './session.ts'

/* `multigate evaluate`, `compare`, `calibrate` and `quantize`. Libraries are imported when a command runs. */

/** Flags with which some commands need `--data`, and others take the spec as their argument. */
type Given<Flags extends RowsFlags> = Omit<Flags, 'data'> & { data?: string }

/** The context's signal stops the evaluation. */
export function createEvaluateCommand(context: CommandContext): Command {
  const command = new Command('evaluate')
    .description('judge a version, on disk or served, on labelled rows; see docs/evaluation.md')
    .argument('<model>', 'model, model/version or folder of a version; or, without --data, the spec that trains one')
    .option('--model <name>', "another model than the spec's, where a spec is given")
    .option(
      '--model-version <number>',
      'the version; default: the highest on disk, or the one that a service answers with',
    )
    .addOption(
      new Option('--int8', 'also compare int8 with float32, for a version on disk').conflicts('url').default(false),
    )
    .addOption(
      new Option('--bfloat16', 'also compare bfloat16 with float32, where this machine computes it')
        .conflicts('url')
        .default(false),
    )
    .option('--predictions <file>', 'also write the predictions: CSV, .csv.gz is compressed')
  addRowsOptions(command, 'conditions that the version must meet, else the exit code is 3')
  addServiceOptions(command, 'ask a running service, through POST /predict')
  return command
    .addHelpText(
      'after',
      `
Examples:
  multigate evaluate shop --data last-week.yaml --report out   models/shop, its highest version; out/report.html
  multigate evaluate shop/7 --data last-week.yaml --gate       exit code 3 if the spec's conditions are not met
  multigate evaluate shop --data last-week.yaml --url http://127.0.0.1:3000   a running service
  multigate evaluate census-income                             the version that a training spec writes, on its test rows`,
    )
    .action(async (given: string, flags: Given<JudgeFlags> & GivenService & EvaluateFlags) => {
      const { runEvaluate } = await import('./run-evaluate.ts')
      const { data, model, modelVersion, int8, bfloat16 } = flags
      const name = data === undefined ? model : given
      context.exitCode = await runEvaluate({
        ...surroundings('evaluate', context),
        ...flags,
        data: data ?? given,
        target: name === undefined || modelVersion === undefined ? name : `${name}/${modelVersion}`,
        service: serviceOf(flags),
        precisions: [...(int8 ? (['int8'] as const) : []), ...(bfloat16 ? (['bfloat16'] as const) : [])],
      })
    })
}

interface EvaluateFlags {
  model?: string
  modelVersion?: string
  int8: boolean
  bfloat16: boolean
  predictions?: string
}

export function createCompareCommand(context: CommandContext): Command {
  const command = new Command('compare')
    .description('compare two versions on the same labelled rows, by paired intervals; see docs/evaluation.md')
    .argument('<a>', 'model, model/version or folder of a version')
    .argument('<b>', 'the version that may be better or worse than it')
  addRowsOptions(command)
  addServiceOptions(command, 'ask a running service, through POST /predict')
  return command
    .addHelpText(
      'after',
      `
Exit codes: 0 if b is better, or no difference is shown; 3 if b is worse.

Examples:
  multigate compare shop/6 shop/7 --data last-week.yaml
  multigate compare ads-funnel ads-funnel-moe --data ads-funnel --report out`,
    )
    .action(async (a: string, b: string, flags: Given<JudgeFlags> & GivenService) => {
      const { runCompare } = await import('./run-compare.ts')
      const data = required(command, flags.data)
      const service = serviceOf(flags)
      context.exitCode = await runCompare({ ...surroundings('compare', context), ...flags, data, a, b, service })
    })
}

export function createCalibrateCommand(context: CommandContext): Command {
  const command = new Command('calibrate')
    .description('fit the calibration of a version to labelled rows and write the next version; see docs/evaluation.md')
    .argument('<model>', 'model, model/version or folder of a version')
    .addOption(new Option('--method <name>', 'how').choices(['auto', 'platt', 'isotonic']).default('auto'))
    .option(
      '--tasks <names>',
      'tasks and derived tasks to calibrate, separated by commas; default: all with labels',
      (names) => names.split(',').map((name) => name.trim()),
    )
    .option('--force', 'write a version that is shown to be worse, or isotonic regression of few positives', false)
    .option('--dry-run', 'print the report and write nothing', false)
  addRowsOptions(command, 'conditions that the new version must meet, else nothing is written and the exit code is 3')
  return command
    .addHelpText(
      'after',
      `
If the spec splits its rows, the validation part is fitted to and the test part judges; else the version is fitted to all rows,
and half of them judges what is fitted to the other half. A version that is shown to be worse than the one before is not written,
and the exit code is 3.

Examples:
  multigate calibrate shop --data last-week.yaml --report out          writes models/shop/<next version>
  multigate calibrate shop --data last-week.yaml --tasks ctcvr --method platt`,
    )
    .action(async (target: string, flags: Given<CalibrateFlags>) => {
      const { runCalibrate } = await import('./run-calibrate.ts')
      const data = required(command, flags.data)
      context.exitCode = await runCalibrate({ ...surroundings('calibrate', context), ...flags, data, target })
    })
}

export function createQuantizeCommand(context: CommandContext): Command {
  const command = new Command('quantize')
    .description(
      'give a version bfloat16, int8 or narrow tables: store rows that judge them, and write the next version; see docs/precision.md',
    )
    .argument('<model>', 'model, model/version or folder of a version')
    .requiredOption('--data <spec>', 'spec of labelled rows (.yaml or .json), or a training spec or its name')
    .addOption(
      new Option('--precision <name>', 'auto: each machine takes the fastest that passes with a margin')
        .choices(['auto', 'int8', 'bfloat16', 'float32'])
        .default('auto'),
    )
    .option('--keep-precision', 'serve the precision also where it is no faster than float32')
    .addOption(
      new Option('--tables <format>', 'rows of large embedding tables; default: as the version has them').choices([
        'float32',
        'float16',
        'int8',
      ]),
    )
    .option('--rows <number>', 'most rows to store, spread evenly over the data', wholeNumber(200, 100_000), 4096)
    .option('--models <folder>', 'folder of models', 'models')
    .addOption(
      partOption('rows to choose from, not trained on; default: validation if the spec splits its rows, else all'),
    )
    .option('--dry-run', 'print the report and write nothing', false)
    .option('--json', 'print JSON', false)
  return command
    .addHelpText(
      'after',
      `
The first half of the rows sets the scales of int8, the second half compares the answers with those of float32. Where this machine
can't compute bfloat16, the version is written unjudged: servers judge it when they load it.

Exit codes: 0 if the version was written or, with --dry-run, would have been; 3 if the precision or the tables fail their check, and
nothing was written; 1 for any other failure, 2 for wrong usage, 130 if interrupted.

Examples:
  multigate quantize shop --data last-week.yaml                       writes models/shop/<next version>, precision auto
  multigate quantize shop/7 --data last-week.yaml --precision int8 --tables int8 --dry-run`,
    )
    .action(async (target: string, flags: QuantizeFlags) => {
      const { runQuantize } = await import('./run-quantize.ts')
      context.exitCode = await runQuantize({ ...surroundings('quantize', context), ...flags, target })
    })
}

function addRowsOptions(command: Command, gate?: string): void {
  command
    .option('--data <spec>', 'spec of the rows (.yaml or .json), or a training spec or its name')
    .option('--models <folder>', 'folder of models', 'models')
    .addOption(partOption('rows to judge; default: test if the spec splits its rows, else all'))
    .option('--seed <number>', 'seed of the bootstrap', wholeNumber(0, 2 ** 31 - 1), 1)
    .option('--report <folder>', 'write report.html and report.json into this folder')
    .option('--json', 'print JSON', false)
  if (gate !== undefined) command.option('--gate [file]', `${gate}: a YAML file, default: \`publish\` in the spec`)
}

function partOption(purpose: string): Option {
  return new Option('--part <name>', purpose).choices(['all', 'train', 'validation', 'test'])
}

/** The part that no option changes. */
function surroundings(name: string, { args, signal, out, err }: CommandContext): Omit<RowsOptions, keyof RowsFlags> {
  return {
    specs: bundledSpecs,
    command: hideCredentialsIn(['multigate', name, ...args.slice(1)].join(' ')),
    multigateVersion,
    cache: cacheFolder(process.env.MULTIGATE_CACHE ?? ''),
    now: Date.now,
    signal,
    out,
    err,
  }
}

function required(command: Command, data: string | undefined): string {
  return data ?? command.error("error: required option '--data <spec>' not specified", { exitCode: 2 })
}
