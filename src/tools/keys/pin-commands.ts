import { Command, InvalidArgumentError } from 'commander'
import { hideCredentials } from '../../base/address-credentials.ts'
import type { CommandContext } from '../../base/command.ts'
import { showWork } from '../../base/terminal.ts'
import type { ModelStatus } from '../../schemas/models.ts'
import type { ServiceAddress } from '../client/service-client.ts'
import { addServiceOptions, type GivenService, serviceOf } from '../client/service-options.ts'

/** ms until a server that loads the version has to have answered. */
const patienceMs = 600_000

interface PinOptions extends GivenService {
  models: string
}

/** `multigate pin` */
export function createPinCommand(context: CommandContext): Command {
  return pinCommand('pin')
    .description('serve a version of a model instead of the highest one: a rollback without touching its folders')
    .argument('<version>', 'version in the folder', parseVersion)
    .addHelpText(
      'after',
      `
Examples:
  multigate pin ads-funnel 3                    servers of models/ answer with version 3 after their next scan
  multigate pin ads-funnel 3 --models /models
  multigate pin ads-funnel 3 --url http://127.0.0.1:3000 --key-file admin.key
  multigate unpin ads-funnel                    serve the highest version again

The pin is stored in <folder>/<model>/labels.json as "$pin"; GET /models shows it.`,
    )
    .action(async (model: string, version: string, options: PinOptions) => {
      const service = serviceOf(options)
      if (service !== undefined) return change(service, { model, action: 'pin', body: { version } }, context)
      const { pinVersion } = await import('../../model/serving/registry/pin.ts')
      const former = await pinVersion(options.models, model, version)
      const note = former === undefined || former === version ? '' : `, instead of version ${former}`
      context.out.write(`Version ${version} of ${model} is pinned${note}. ${await whenFollowed()}\n`)
    })
}

/** `multigate unpin` */
export function createUnpinCommand(context: CommandContext): Command {
  return pinCommand('unpin')
    .description('serve the highest version of a model again')
    .addHelpText(
      'after',
      `
Examples:
  multigate unpin ads-funnel
  multigate unpin ads-funnel --models /models
  multigate unpin ads-funnel --url http://127.0.0.1:3000 --key-file admin.key`,
    )
    .action(async (model: string, options: PinOptions) => {
      const service = serviceOf(options)
      if (service !== undefined) return change(service, { model, action: 'unpin' }, context)
      const { unpinVersion } = await import('../../model/serving/registry/pin.ts')
      const former = await unpinVersion(options.models, model)
      context.out.write(
        former === undefined
          ? `No version of ${model} was pinned.\n`
          : `Version ${former} of ${model} is no longer pinned. ${await whenFollowed()}\n`,
      )
    })
}

/** A command with the argument and the options of both. */
function pinCommand(name: string): Command {
  const command = new Command(name)
    .argument('<model>', 'name of the model')
    .option('--models <folder>', 'folder of models', 'models')
  const purpose = 'ask this server, which follows immediately; its administration must be enabled'
  return addServiceOptions(command, purpose, ['models'])
}

interface Change {
  model: string
  action: 'pin' | 'unpin'
  body?: { version: string }
}

/** Has a server change a pin, and prints what it serves then. */
async function change(
  service: ServiceAddress,
  { model, action, body }: Change,
  { out, err }: CommandContext,
): Promise<void> {
  const { connectService } = await import('../client/service-client.ts')
  // A second try would load a version that failed a second time.
  const ask = await connectService(service, { patienceMs, mostRetries: 0 })
  const url = hideCredentials(service.url)
  const path = `/models/${encodeURIComponent(model)}/${action}`
  const status = (await showWork(err, `asking ${url}`, () => ask('POST', path, body))) as ModelStatus
  const { name, pin, default_version: answers } = status
  const pinned = pin === undefined ? `No version of ${name} is pinned` : `Version ${pin} of ${name} is pinned`
  out.write(`${pinned} at ${url}: ${answers === undefined ? 'no version' : `version ${answers}`} answers.\n`)
}

/** The sentence on servers, after a change of a file. */
async function whenFollowed(): Promise<string> {
  const { Configuration } = await import('../../schemas/configuration.ts')
  const { default: seconds } = Configuration.properties.MULTIGATE_POLL_SECONDS as { default?: number }
  return `A running server follows at its next scan of the folder, within ${seconds} s (MULTIGATE_POLL_SECONDS); with --url it follows immediately.`
}

function parseVersion(value: string): string {
  if (/^[1-9][0-9]{0,17}$/.test(value)) return value
  throw new InvalidArgumentError('must be a positive whole number.')
}
