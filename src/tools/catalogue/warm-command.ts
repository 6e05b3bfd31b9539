import { Command, Option } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import { cacheFolder } from '../../base/settings.ts'
import type { WantedPrecision } from './judge-precision.ts'
import type { RunWarmOptions } from './run-warm.ts'

/* `multigate warm`. Libraries are imported when the command runs. */

interface Given extends Pick<RunWarmOptions, 'models' | 'json'> {
  catalogue?: string
  update?: string
  precision?: WantedPrecision
  cache?: string
}

/** The context's signal stops the command. */
export function createWarmCommand(context: CommandContext): Command {
  return new Command('warm')
    .description('compute what servers keep of candidates before they ask for them; see docs/catalogue.md')
    .argument('<version>', "the folder of a version or a model, or a model's name")
    .addOption(
      new Option(
        '--catalogue <file>',
        'candidates: .csv, .csv.gz or .parquet with a column per field, or of keys (default: the table of candidates)',
      ).conflicts('update'),
    )
    .option('--update <file>', 'add candidates to the catalogue that there is')
    .addOption(
      new Option('--precision <name>', 'how parts are stored; narrow ones must pass the check of int8; default: auto')
        .choices(['auto', 'float32', 'bfloat16', 'int8'])
        .conflicts('update'),
    )
    .option('--models <folder>', 'folder of models, for models given by name', 'models')
    .option('--cache <folder>', 'folder of compiled plans (MULTIGATE_CACHE)')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
A catalogue takes effect when a server loads the version: restart it, or load the version again.

Examples:
  multigate warm models/ads-funnel/1 --catalogue ads.parquet
  multigate warm ads-funnel --catalogue ads.csv --precision float32 --cache /var/cache/multigate
  multigate warm ads-funnel --update new-ads.csv
  multigate warm shop                    # all ads of the feature table that shop reads`,
    )
    .action(async (target: string, flags: Given) => {
      const { catalogue, update, precision = 'auto', cache = process.env.MULTIGATE_CACHE ?? '' } = flags
      const file = catalogue ?? update
      const { runWarm } = await import('./run-warm.ts')
      const chosen = { target, file, update: update !== undefined, precision, cache: cacheFolder(cache) }
      await runWarm({ ...context, ...flags, ...chosen })
    })
}
