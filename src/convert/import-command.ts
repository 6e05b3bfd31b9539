import { Command, InvalidArgumentError } from 'commander'
import { Value } from 'typebox/value'
import { cacheFolder } from '../config/cache-folder.ts'
import { multigateVersion } from '../model/base/project.ts'
import { ModelName, TaskName, VersionName } from '../schemas/manifest.ts'

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
export function createImportCommand(signal: AbortSignal): Command {
  return new Command('import')
    .description('make a version of a model that Keras saved; see docs/import-export.md')
    .argument('<path>', 'a .keras file, or an HDF5 file of weights (.weights.h5, .h5) or of a whole model')
    .requiredOption('--name <model>', 'name of the model', named(ModelName, 'name of a model'))
    .option('--models <folder>', 'where versions are written, as <folder>/<name>/<version>', 'models')
    .option('--model-version <number>', 'the version', named(VersionName, 'version'), '1')
    .option('--features <file>', 'YAML or JSON: a list of fields as in a manifest, or {features, tasks, derived, …}')
    .option('--sizes <numbers>', 'without --features: how many ids each sparse field has, in order', parseSizes)
    .option('--context <fields>', 'without --features: fields that are the context, not the candidate', parseNames, [])
    .option('--cross <fields>', 'without --features: fields that depend on both', parseNames, [])
    .option(
      '--tasks <names>',
      "the tasks' names, in order; default: task_0, task_1, …, or the outputs' names",
      parseTasks,
    )
    .option(
      '--golden <file>',
      'rows with the answers that Keras gave; default: rows drawn at random, answered in float64',
    )
    .option(
      '--architecture <class>',
      'of weights of a class: the class and what its file does not hold, as mmoe,gate_function=sigmoid,activation=relu, or a YAML or JSON file of its arguments',
    )
    .option('--allow-unused', "take fields whose sizes don't add up to the rows of their embedding table", false)
    .option('--cache <folder>', 'folder of compiled plans (MULTIGATE_CACHE; `off`: none)')
    .option('--force', 'replace a version that is there already', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate import mmoe.keras --name ads                             what the file says is enough to begin with
  multigate import mmoe.keras --name ads --features features.yaml --tasks ctr,cvr --golden answers.json
  multigate import mmoe.weights.h5 --name ads --architecture mmoe,gate_function=sigmoid --sizes 9,52,47

Nothing is written before the version has been loaded and has answered its golden rows.`,
    )
    .action(async (path: string, flags: ImportFlags) => {
      const { runImport } = await import('./commands.ts')
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
        out: process.stdout,
        err: process.stderr,
      })
    })
}

function named(schema: typeof ModelName, what: string) {
  return (value: string) => {
    if (Value.Check(schema, value)) return value
    throw new InvalidArgumentError(`${JSON.stringify(value)} can't be the ${what}.`)
  }
}

function parseTasks(value: string): string[] {
  return parseNames(value).map(named(TaskName, 'name of a task'))
}

function parseNames(value: string): string[] {
  const names = value.split(',').map((name) => name.trim())
  if (names.every((name) => name !== '')) return names
  throw new InvalidArgumentError('must be names with commas between them.')
}

function parseSizes(value: string): number[] {
  return value.split(',').map((part) => {
    const size = part.trim()
    if (/^[1-9]\d{0,9}$/.test(size) && Number(size) < 2 ** 31) return Number(size)
    throw new InvalidArgumentError('must be positive whole numbers with commas between them.')
  })
}
