import { Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import { multigateVersion } from '../../base/project.ts'
import { cacheFolder } from '../../base/settings.ts'
import { parseModelName, parseNames, parseTaskNames, parseVersion } from './name-options.ts'

interface ImportFlags {
  name: string
  models: string
  modelVersion: string
  features?: string
  architecture?: string
  tasks?: string[]
  sizes?: number[]
  context: string[]
  cross: string[]
  golden?: string
  cache?: string
  allowUnused: boolean
  force: boolean
}

/** `multigate import` */
export function createImportCommand({ signal, out, err }: CommandContext): Command {
  return new Command('import')
    .description('convert a model saved by Keras into a version; see docs/import-export.md')
    .argument('<path>', 'a .keras file, or an HDF5 file (.weights.h5, .h5) with weights or a complete model')
    .requiredOption('--name <model>', 'name of the model', parseModelName)
    .option('--models <folder>', 'folder of models; the version is written to <folder>/<name>/<version>', 'models')
    .option('--model-version <number>', 'the version', parseVersion, '1')
    .option(
      '--features <file>',
      'YAML or JSON: a list of fields, as in a manifest, or an object {features, tasks, derived, …}',
    )
    .option('--sizes <numbers>', 'without --features: number of ids of each sparse field, in order', parseSizes)
    .option('--context <fields>', 'without --features: context fields', parseNames, [])
    .option('--cross <fields>', 'without --features: cross fields', parseNames, [])
    .option(
      '--tasks <names>',
      "names of the tasks, in order; default: task_0, task_1, …, or the outputs' names",
      parseTaskNames,
    )
    .option('--golden <file>', "rows with Keras' answers; default: random rows with answers computed in float64")
    .option(
      '--architecture <class>',
      'for a file of weights: the class and the options that the file does not contain, such as mmoe,gate_function=sigmoid,activation=relu, or a YAML or JSON file with its arguments',
    )
    .option('--allow-unused', 'accept fields whose sizes do not add up to the rows of their embedding table', false)
    .option('--cache <folder>', 'folder of compiled plans, or off (MULTIGATE_CACHE)')
    .option('--force', 'replace an existing version', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate import mmoe.keras --name ads                             fields and tasks from the file
  multigate import mmoe.keras --name ads --features features.yaml --tasks ctr,cvr --golden answers.json
  multigate import mmoe.weights.h5 --name ads --architecture mmoe,gate_function=sigmoid --sizes 9,52,47

The version is written only after it loads and answers its golden rows.`,
    )
    .action(async (path: string, flags: ImportFlags) => {
      const { runImport } = await import('./run-conversions.ts')
      const { name, models, modelVersion, features, architecture, tasks, sizes, golden, cache, force } = flags
      await runImport({
        path,
        name,
        models,
        version: modelVersion,
        features,
        architecture,
        golden,
        tasks,
        sizes,
        context: flags.context,
        cross: flags.cross,
        allowUnused: flags.allowUnused,
        force,
        cache: cacheFolder(cache ?? process.env.MULTIGATE_CACHE ?? ''),
        command: ['multigate import', path, '--name', name].join(' '),
        multigateVersion,
        now: Date.now,
        signal,
        out,
        err,
      })
    })
}

function parseSizes(value: string): number[] {
  return value.split(',').map((part) => {
    const size = part.trim()
    if (/^[1-9]\d{0,9}$/.test(size) && Number(size) < 2 ** 31) return Number(size)
    throw new InvalidArgumentError('must be positive whole numbers with commas between them.')
  })
}
