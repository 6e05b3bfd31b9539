import { Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import type { TopOptions } from './run-top.ts'

/** `multigate top`; the context's signal ends it. */
export function createTopCommand({ out, err, signal }: CommandContext): Command {
  return new Command('top')
    .description('show the live figures of a running service in the terminal')
    .option('--url <url>', 'where the service is', parseUrl, 'http://127.0.0.1:3000')
    .option('--key-file <file>', 'file of an API key with the scope metrics; default: the variable MULTIGATE_KEY')
    .option('--once', 'print the figures once; the default where the output is no terminal')
    .option('--json', 'print one JSON object per second')
    .addHelpText(
      'after',
      `
Keys: q quits. Figures are of the last second, all processes together; see docs/monitoring.md for their meaning.
NO_COLOR=1 leaves colours away. NODE_EXTRA_CA_CERTS names the certificate authority of a service with its own.

Examples:
  multigate top
  multigate top --url https://ranking.internal --key-file key.txt
  multigate top --once
  multigate top --json | jq .stages.total.p99`,
    )
    .action(async (options: TopOptions) => {
      const { runTop } = await import('./run-top.ts')
      const { stdin: input, env } = process
      await runTop(options, { out, err, input, env }, signal)
    })
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('It must be an http or https URL.')
  return text
}
