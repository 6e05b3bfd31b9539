import { Command } from 'commander'
import { ModelError } from '../model/base/errors.ts'

/** `multigate verify` */
export function createVerifyCommand(): Command {
  return new Command('verify')
    .description('hold a version against answers of the program that trained its model; see docs/import-export.md')
    .argument('<target>', "the folder of a version or a model, or a model's name")
    .requiredOption('--golden <file>', 'YAML or JSON: rows, and what that program answered')
    .option('--models <folder>', 'folder of the models that have names', 'models')
    .addHelpText(
      'after',
      `
Examples:
  multigate verify ads --golden answers.json             the highest version in models/ads
  multigate verify models/ads/2 --golden answers.json

answers.json, with rows by name or as the tensors that the model takes:
  {"rows": [{"country": 3, "price": 1.5}], "probabilities": [[0.021, 0.34]]}
  {"sparse": [[3, 71]], "dense": [[1.5]], "probabilities": [[0.021, 0.34]]}

Exit codes: 0 every answer is the same, 1 one differs.`,
    )
    .action(async (target: string, { golden, models }: { golden: string; models: string }) => {
      const { verifyVersion, formatVerification } = await import('./verify-version.ts')
      const verification = await verifyVersion({ target, golden, models })
      process.stdout.write(`${formatVerification(verification)}\n`)
      const { version, difference } = verification
      if (difference !== undefined)
        throw new ModelError('MODEL_FAILED', `${version} answers otherwise than ${golden}: ${difference}`)
    })
}
