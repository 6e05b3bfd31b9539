import { readFile } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parse } from 'yaml'
import { ModelError } from '../model/base/errors.ts'
import { check } from '../schemas/check.ts'
import { Features } from '../schemas/features.ts'
import type { ProblemItem } from '../schemas/problem.ts'

/* `multigate inspect` and `multigate init`: what is in a saved graph, and a manifest for it. */

const pathArgument =
  'an ONNX file, a model.json, a saved_model.pb, a .keras or .h5 file, the folder of one, of a version or a model, or a model’s name'
const modelsOption = ['--models <folder>', 'folder of the models that have names', 'models'] as const

export function createInspectCommand(): Command {
  return new Command('inspect')
    .description(
      'say what is in a saved graph: what it takes and answers, its layers, parameters, bytes and FLOPs a row',
    )
    .argument('<path>', pathArgument)
    .option(...modelsOption)
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate inspect model.onnx
  multigate inspect saved_model/        a TensorFlow SavedModel
  multigate inspect mmoe.keras          what Keras saved, weights alone too
  multigate inspect ads-funnel --json   the highest version in models/ads-funnel`,
    )
    .action(async (path: string, { models, json }: { models: string; json: boolean }) => {
      const { inspect, formatInspection } = await import('./inspect.ts')
      const { openSaved } = await import('./open-saved.ts')
      const saved = await openSaved(path, models)
      try {
        const inspection = await inspect(saved)
        process.stdout.write(`${json ? JSON.stringify(inspection, undefined, 2) : formatInspection(inspection)}\n`)
      } finally {
        await saved.dispose?.()
      }
    })
}

interface InitFlags {
  models: string
  name?: string
  modelVersion?: string
  tasks?: string[]
  output?: string[]
  features?: string
  context: string[]
  cross: string[]
  golden?: string
  allowUnused: boolean
  force: boolean
}

export function createInitCommand(): Command {
  return new Command('init')
    .description('write a manifest for a saved graph with what the graph tells, and say what is left to fill in')
    .argument('<path>', pathArgument.replace(' a .keras or .h5 file,', ''))
    .option(...modelsOption)
    .option('--name <model>', "the model's name; default: that of the graph's folder or file")
    .option('--model-version <number>', 'the version; default: that of the graph’s folder, or 1')
    .option('--tasks <names>', "the tasks' names, in order of the outputs' columns", parseNames)
    .option('--output <names>', 'the output that has the probabilities or logits, or one a task', parseNames)
    .option('--features <file>', 'YAML or JSON: the list of fields, as in a manifest')
    .option('--context <fields>', 'without --features: fields that are the context, not the candidate', parseNames, [])
    .option('--cross <fields>', 'without --features: fields that depend on both', parseNames, [])
    .option('--golden <file>', 'rows with the answers that the program gave in which the model was trained')
    .option('--allow-unused', "take fields whose sizes don't add up to the rows of their embedding table", false)
    .option('--force', 'replace a manifest, or a version, that is there already', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate init models/shop/1                       beside the graph that lies there
  multigate init model.onnx --name shop --tasks ctr,cvr
  multigate init saved_model/ --name shop --features features.yaml --golden answers.json
  multigate init shop --force                            a new manifest for the highest version in models/shop

A graph that doesn't lie in <name>/<version>/ is copied to <models>/<name>/<version>/.`,
    )
    .action(async (path: string, flags: InitFlags) => {
      const { writeInit } = await import('./write-init.ts')
      const { models, name, modelVersion: version, tasks, output: outputs, context, cross, force } = flags
      const features = flags.features === undefined ? undefined : await readFeatures(flags.features)
      const sides = { context, cross }
      const { folder, found, left, manifest } = await writeInit({
        path,
        models,
        name,
        version,
        tasks,
        outputs,
        features,
        sides,
        golden: flags.golden,
        allowUnused: flags.allowUnused,
        force,
      })
      const list = (title: string, lines: string[]) => `${title}\n${lines.map((line) => `  ${line}`).join('\n')}\n`
      process.stdout.write(
        [
          `${folder}/manifest.json makes it ${manifest.name}/${manifest.version}; it can be served as it is.\n`,
          list('From the graph:', found),
          ...(left.length > 0 ? [list('Left to fill in, where it matters:', left)] : []),
          `docs/bundles.md says what each property means. To serve it: multigate serve --models ${shortest(dirname(dirname(folder)))}`,
        ].join('\n'),
      )
      process.stdout.write('\n')
    })
}

/** A folder as people would write it where they are. */
function shortest(folder: string): string {
  const below = relative('', folder)
  return below === '' ? '.' : below.startsWith('..') ? folder : below
}

async function readFeatures(path: string): Promise<Features> {
  let written: unknown
  try {
    written = parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new ModelError('INVALID_REQUEST', `${path} can't be read: ${cause instanceof Error ? cause.message : cause}`)
  }
  const problems: ProblemItem[] = []
  const features = check(Features, written, '', problems) as Features
  if (problems.length === 0) return features
  const text = problems.slice(0, 10).map(({ path: place, message }) => `${place || '/'} ${message}`)
  throw new ModelError('INVALID_REQUEST', `${path}: ${text.join('; ')}`)
}

function parseNames(value: string): string[] {
  const names = value.split(',').map((name) => name.trim())
  if (names.every(Boolean)) return names
  throw new InvalidArgumentError('must be names with commas between them.')
}
