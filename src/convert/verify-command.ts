import { Command } from 'commander'
import { ModelError } from '../model/base/errors.ts'

/** `multigate verify` */
export function createVerifyCommand(): Command {
  return new Command('verify')
    .description('compare a version with answers from the program that trained its model; see docs/import-export.md')
    .argument('<target>', "the folder of a version or a model, or a model's name")
    .requiredOption('--golden <file>', 'YAML or JSON: rows with the answers of that program')
    .option('--models <folder>', 'folder of models, for models given by name', 'models')
    .addHelpText(
      'after',
      `
Examples:
  multigate verify ads --golden answers.json             the highest version in models/ads
  multigate verify models/ads/2 --golden answers.json

answers.json has rows of named features, or tensors as the model takes them:
  {"rows": [{"country": 3, "price": 1.5}], "probabilities": [[0.021, 0.34]]}
  {"sparse": [[3, 71]], "dense": [[1.5]], "probabilities": [[0.021, 0.34]]}

Exit codes: 0 all answers agree, 1 at least one differs.`,
    )
    .action(async (target: string, { golden, models }: { golden: string; models: string }) => {
      const { verifyVersion, formatVerification } = await import('./verify-version.ts')
      const verification = await verifyVersion({ target, golden, models })
      process.stdout.write(`${formatVerification(verification)}\n`)
      const { version, difference } = verification
      if (difference !== undefined)
        throw new ModelError('MODEL_FAILED', `${version} does not give the answers of ${golden}: ${difference}`)
    })
}
