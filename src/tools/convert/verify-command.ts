import { Command, Option } from 'commander'
import { hideCredentials } from '../../base/address-credentials.ts'
import type { CommandContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { showWork } from '../../base/terminal.ts'

interface VerifyOptions {
  golden?: string
  models: string
  url?: string
  keyFile?: string
  ca?: string
  clientCert?: string
  clientKey?: string
}

/** `multigate verify` */
export function createVerifyCommand(context: CommandContext): Command {
  return new Command('verify')
    .description(
      'compare a version with answers from the program that trained its model, or a running service with its golden rows; see docs/import-export.md',
    )
    .argument('[target]', "the folder of a version or a model, or a model's name")
    .option(
      '--golden <file>',
      'YAML or JSON: rows with the answers of that program (default: golden rows of the manifest)',
    )
    .option('--models <folder>', 'folder of models, for models given by name and for --url', 'models')
    .addOption(
      new Option('--url <address>', 'a running service: send it the golden rows of every model').conflicts('golden'),
    )
    .option('--key-file <file>', 'file of an API key, for --url')
    .option('--ca <file>', 'certificate authorities (PEM) to trust, for --url')
    .option('--client-cert <file>', 'client certificate (PEM) for mutual TLS, for --url')
    .option('--client-key <file>', "the client certificate's private key (PEM), for --url")
    .addHelpText(
      'after',
      `
Examples:
  multigate verify ads                                   the highest version in models/ads, by its own golden rows
  multigate verify models/ads/2 --golden answers.json
  multigate verify --url http://127.0.0.1:3000           every model that a service serves

answers.json has rows of named features, or tensors as the model takes them:
  {"rows": [{"country": 3, "price": 1.5}], "probabilities": [[0.021, 0.34]]}
  {"sparse": [[3, 71]], "dense": [[1.5]], "probabilities": [[0.021, 0.34]]}

Exit codes: 0 all answers agree, 1 at least one differs, or with --url a model can't answer or none has golden rows.`,
    )
    .action(async (target: string | undefined, options: VerifyOptions, command: Command) => {
      const { golden, models, url } = options
      if (url !== undefined) {
        if (target !== undefined) command.error(`error: --url checks every model; leave out ${target}`)
        if (!/^https?:/.test(url) || !URL.canParse(url))
          command.error(`error: --url ${url} is no http:// or https:// address`)
        await checkService({ ...options, url }, context)
      } else if (target === undefined) command.error("error: missing argument 'target', or --url")
      else await checkVersion({ target, golden, models }, context)
    })
}

async function checkVersion(
  asked: { target: string; golden: string | undefined; models: string },
  { out, err }: CommandContext,
): Promise<void> {
  const { verifyVersion, formatVerification } = await import('./verify-version.ts')
  const verification = await showWork(err, `asking ${asked.target}`, () => verifyVersion(asked))
  out.write(`${formatVerification(verification)}\n`)
  const { version, difference } = verification
  if (difference !== undefined)
    throw new ModelError(
      'MODEL_FAILED',
      `${version} does not give the answers of ${asked.golden ?? 'its golden rows'}: ${difference}`,
    )
}

async function checkService(
  { models, ...address }: VerifyOptions & { url: string },
  { out, err }: CommandContext,
): Promise<void> {
  const { connectService } = await import('../client/service-client.ts')
  const { failureOf, formatServed, verifyService } = await import('./verify-service.ts')
  const ask = await connectService(address)
  const url = hideCredentials(address.url)
  const served = await showWork(err, `asking ${url}`, () => verifyService(ask, models))
  if (served.length > 0) out.write(`${formatServed(served)}\n`)
  const failure = failureOf(served)
  if (failure !== undefined) throw new ModelError('MODEL_FAILED', `${url}: ${failure}`)
}
