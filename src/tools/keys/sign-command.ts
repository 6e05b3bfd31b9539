import { Command } from 'commander'
import type { CommandContext } from '../../base/command.ts'

/** `multigate sign` */
export function createSignCommand({ out }: CommandContext): Command {
  return new Command('sign')
    .description('sign versions of models and tables, for servers that serve signed ones alone')
    .argument('<folder...>', 'folders of versions, such as models/ads-funnel/3 or models/.tables/ads/3')
    .requiredOption('--key <file>', 'ed25519 private key (PEM)')
    .addHelpText(
      'after',
      `
Examples:
  openssl genpkey -algorithm ed25519 -out signing.pem        makes a private key
  openssl pkey -in signing.pem -pubout -out model-keys.pem   and its public key, for servers
  multigate sign models/ads-funnel/3 --key signing.pem
  multigate sign models/.tables/ads/3 --key signing.pem      a feature table
  MULTIGATE_MODEL_KEYS=model-keys.pem npm start

The signature is stored beside the manifest, or a table's table.json, which has the checksum of every other file.`,
    )
    .action(async (folders: string[], { key }: { key: string }) => {
      const { signVersion } = await import('../../model/serving/version/signature.ts')
      for (const folder of folders) out.write(`${await signVersion(folder, key)}\n`)
    })
}
