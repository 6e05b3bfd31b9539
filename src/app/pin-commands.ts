import { Command, InvalidArgumentError } from 'commander'

/** Where `multigate pin` and `multigate unpin` say what they did. */
type Out = { write(text: string): unknown }

const modelsOption = ['--models <folder>', 'where the model is, as <folder>/<name>', 'models'] as const

/** Has a version answer, although a higher one exists. */
export function createPinCommand(out: Out = process.stdout): Command {
  return new Command('pin')
    .description('serve a version of a model although a higher one exists: a roll-back without touching its folders')
    .argument('<model>', "the model's name")
    .argument('<version>', 'a version that is in the folder', parseVersion)
    .option(...modelsOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate pin ads-funnel 3                    every server of models/ answers with version 3 from its next look on
  multigate pin ads-funnel 3 --models /models
  multigate unpin ads-funnel                    the highest version again

The pin stands in <folder>/<model>/labels.json under "$pin"; GET /models shows it.`,
    )
    .action(async (model: string, version: string, { models }: { models: string }) => {
      const { pinVersion } = await import('../model/registry/pin.ts')
      const former = await pinVersion(models, model, version)
      const note = former === undefined || former === version ? '' : `; before, it was version ${former}`
      out.write(`Version ${version} of ${model} is pinned${note}. Servers follow when they next look at the folder.\n`)
    })
}

/** The highest version answers again. */
export function createUnpinCommand(out: Out = process.stdout): Command {
  return new Command('unpin')
    .description('serve the highest version of a model again')
    .argument('<model>', "the model's name")
    .option(...modelsOption)
    .action(async (model: string, { models }: { models: string }) => {
      const { unpinVersion } = await import('../model/registry/pin.ts')
      const former = await unpinVersion(models, model)
      out.write(
        former === undefined
          ? `No version of ${model} was pinned.\n`
          : `Version ${former} of ${model} is no longer pinned. Servers follow when they next look at the folder.\n`,
      )
    })
}

function parseVersion(value: string): string {
  if (/^[1-9][0-9]{0,17}$/.test(value)) return value
  throw new InvalidArgumentError('must be a positive whole number.')
}
