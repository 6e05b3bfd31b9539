import { dirname, relative } from 'node:path'
import { Command } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { bundledSpecs, multigateVersion } from '../../base/project.ts'
import type { ImportManifest } from '../../schemas/import.ts'
import type { Answers, Given } from './ask-choices.ts'
import { type ChosenDerived, parseDerived } from './derived-option.ts'
import type { Scaffold } from './init.ts'
import { parseModelName, parseNames, parseTaskNames, parseVersion } from './name-options.ts'

/* `multigate inspect` and `multigate init`: describe a saved graph, and write a manifest for it. */

const pathArgument =
  "an ONNX file, a model.json, a saved_model.pb, a .keras or .h5 file, the folder of one, of a version or a model, or a model's name"
const modelsOption = ['--models <folder>', 'folder of models, for models given by name', 'models'] as const

export function createInspectCommand({ out }: CommandContext): Command {
  return new Command('inspect')
    .description('describe a saved graph: inputs, outputs, layers, parameters, bytes and FLOPs per row')
    .argument('<path>', pathArgument)
    .option(...modelsOption)
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate inspect model.onnx
  multigate inspect saved_model/        a TensorFlow SavedModel
  multigate inspect mmoe.keras          a model saved by Keras, or its weights alone
  multigate inspect ads-funnel --json   the highest version in models/ads-funnel`,
    )
    .action(async (path: string, { models, json }: { models: string; json: boolean }) => {
      const { inspect, formatInspection } = await import('./inspect.ts')
      const { openSaved } = await import('./open-saved.ts')
      const saved = await openSaved(path, models)
      try {
        const inspection = await inspect(saved)
        out.write(`${json ? JSON.stringify(inspection, undefined, 2) : formatInspection(inspection)}\n`)
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
  derived: ChosenDerived[]
  context: string[]
  cross: string[]
  data?: string
  golden?: string
  allowUnused: boolean
  force: boolean
  yes: boolean
}

export function createInitCommand(context: CommandContext): Command {
  const { signal, out, err } = context
  return new Command('init')
    .description('write a manifest for a saved graph, judge it on rows with labels, and list what is left to fill in')
    .argument('<path>', pathArgument.replace(' a .keras or .h5 file,', ''))
    .option(...modelsOption)
    .option('--name <model>', "name of the model; default: that of the graph's folder or file", parseModelName)
    .option('--model-version <number>', "the version; default: that of the graph's folder, or 1", parseVersion)
    .option('--tasks <names>', "names of the tasks, in the order of the outputs' columns", parseTaskNames)
    .option('--output <names>', 'the output with the probabilities or logits, or one output per task', parseNames)
    .option(
      '--features <file>',
      'YAML or JSON: a list of fields, as in a manifest, or an object {features, tasks, derived, …}',
    )
    .option('--derived <tasks>', 'derived tasks, such as buy=click*cart*purchase', addDerived, [])
    .option('--context <fields>', 'without --features: context fields', parseNames, [])
    .option('--cross <fields>', 'without --features: cross fields', parseNames, [])
    .option('--data <spec>', 'rows with labels: adds quality, drift reference, golden and quantization rows, a report')
    .option('--golden <file>', 'rows with answers from the program that trained the model')
    .option('--allow-unused', 'accept fields whose sizes do not add up to the rows of their embedding table', false)
    .option('--force', 'replace an existing manifest or version', false)
    .option('-y, --yes', 'ask nothing, also on a terminal', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate init models/shop/1                       next to the graph in that folder
  multigate init model.onnx --name shop --tasks ctr,cvr
  multigate init saved_model/ --name shop --features features.yaml --golden answers.json
  multigate init model.onnx --tasks click,cart --derived buy=click*cart --data rows.yaml
  multigate init shop --force                            a new manifest for the highest version in models/shop

A graph outside <name>/<version>/ is copied to <models>/<name>/<version>/. On a terminal it asks what the graph does not
say, with a guess that Enter accepts. --data takes a spec as \`evaluate\` does, see docs/evaluation.md.`,
    )
    .action(async (path: string, flags: InitFlags) => {
      const { writeInit } = await import('./write-init.ts')
      const { readFeatures } = await import('./read-options.ts')
      const { createProgress } = await import('../../base/progress.ts')
      const { formatEvaluation } = await import('../evaluate/format.ts')
      const { models, name, modelVersion: version, tasks, output: outputs, derived, context: ofContext, cross } = flags
      const stated = flags.features === undefined ? undefined : await readFeatures(flags.features)
      const progress = createProgress(err)
      const log = (line: string) => {
        progress.stop()
        err.write(`${line}\n`)
      }
      const given = {
        name: name !== undefined,
        tasks: (tasks ?? stated?.tasks) !== undefined,
        fields: stated !== undefined || ofContext.length + cross.length > 0,
        derived: derived.length + (stated?.derived.length ?? 0) > 0,
        golden: flags.golden !== undefined,
        data: flags.data !== undefined,
      }
      if (stated && ofContext.length + cross.length > 0)
        throw new ModelError(
          'INVALID_REQUEST',
          `${flags.features} says the sides of its fields: omit --context and --cross`,
        )
      const isAsked = !flags.yes && process.stdin.isTTY && err.isTTY
      const { folder, found, left, manifest, report } = await writeInit({
        ...{ path, models, name, version, tasks, outputs, stated, derived, sides: { context: ofContext, cross } },
        ...{ data: flags.data, golden: flags.golden, allowUnused: flags.allowUnused, force: flags.force },
        review: isAsked ? (draft, fits) => askOnTerminal(draft, given, fits, signal) : undefined,
        measuring: {
          ...{ specs: bundledSpecs, multigateVersion, now: Date.now },
          ...{ command: ['multigate init', path].join(' '), signal, progress, log },
        },
      }).finally(() => progress.stop())
      if (report !== undefined) out.write(`${formatEvaluation(report)}\n\n`)
      if (report?.publish?.passed === false) {
        err.write('nothing was written\n')
        const { notGoodEnough } = await import('../evaluate/run-evaluate.ts')
        context.exitCode = notGoodEnough
        return
      }
      const list = (title: string, lines: string[]) => `${title}\n${lines.map((line) => `  ${line}`).join('\n')}\n`
      out.write(
        [
          `${folder}/manifest.json describes ${manifest.name}/${manifest.version}, which can be served now.\n`,
          list('From the graph:', found),
          ...(left.length > 0 ? [list('Left to fill in, where needed:', left)] : []),
          `docs/bundles.md explains each property. To serve it: multigate serve --models ${shortest(dirname(dirname(folder)))}`,
        ].join('\n'),
      )
      out.write('\n')
    })
}

const addDerived = (value: string, others: ChosenDerived[]) => [...others, ...parseDerived(value)]

async function askOnTerminal(
  draft: Scaffold,
  given: Given,
  fits: (stated: ImportManifest) => void,
  signal: AbortSignal,
): Promise<Answers> {
  const { askChoices } = await import('./ask-choices.ts')
  const { readFeatures, readText } = await import('./read-options.ts')
  const { readRowsSpec } = await import('../data/read-spec.ts')
  const checks = {
    async fields(path: string) {
      const stated = await readFeatures(path)
      fits(stated)
      return stated
    },
    golden: readText,
    data: (path: string) => readRowsSpec(path, bundledSpecs),
  }
  return askChoices(draft, given, checks, { input: process.stdin, output: process.stderr, signal })
}

/** A folder relative to the working directory, unless it is outside it. */
function shortest(folder: string): string {
  const below = relative('', folder)
  return below === '' ? '.' : below.startsWith('..') ? folder : below
}
