import { Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../../base/command.ts'

const modelsOption = ['--models <folder>', 'folder of models', 'models'] as const

/** `multigate pin` */
export function createPinCommand({ out }: CommandContext): Command {
  return new Command('pin')
    .description('serve a version of a model instead of the highest one: a rollback without touching its folders')
    .argument('<model>', 'name of the model')
    .argument('<version>', 'version in the folder', parseVersion)
    .option(...modelsOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate pin ads-funnel 3                    servers of models/ answer with version 3 after their next scan
  multigate pin ads-funnel 3 --models /models
  multigate unpin ads-funnel                    serve the highest version again

The pin is stored in <folder>/<model>/labels.json as "$pin"; GET /models shows it.`,
    )
    .action(async (model: string, version: string, { models }: { models: string }) => {
      const { pinVersion } = await import('../../model/serving/registry/pin.ts')
      const former = await pinVersion(models, model, version)
      const note = former === undefined || former === version ? '' : `, instead of version ${former}`
      out.write(`Version ${version} of ${model} is pinned${note}. Servers follow at their next scan of the folder.\n`)
    })
}

/** `multigate unpin` */
export function createUnpinCommand({ out }: CommandContext): Command {
  return new Command('unpin')
    .description('serve the highest version of a model again')
    .argument('<model>', 'name of the model')
    .option(...modelsOption)
    .addHelpText(
      'after',
      `
Examples:
  multigate unpin ads-funnel
  multigate unpin ads-funnel --models /models`,
    )
    .action(async (model: string, { models }: { models: string }) => {
      const { unpinVersion } = await import('../../model/serving/registry/pin.ts')
      const former = await unpinVersion(models, model)
      out.write(
        former === undefined
          ? `No version of ${model} was pinned.\n`
          : `Version ${former} of ${model} is no longer pinned. Servers follow at their next scan of the folder.\n`,
      )
    })
}

function parseVersion(value: string): string {
  if (/^[1-9][0-9]{0,17}$/.test(value)) return value
  throw new InvalidArgumentError('must be a positive whole number.')
}
