import { Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../../base/command.ts'

interface ImportFlags {
  key: string
  name?: string
  models: string
  columns?: string[]
  text: string[]
  list: [string, string][]
  keep?: 'last'
  tableVersion?: string
  json: boolean
}

/** `multigate features`. Libraries are imported when a command runs; the context's signal stops an import. */
export function createFeaturesCommand(context: CommandContext): Command {
  const features = new Command('features').description('import and look at feature tables; see docs/features.md')
  features.addHelpText(
    'after',
    `
Examples:
  multigate features import ads.csv --key ad_id
  multigate features get ads ad-17
  multigate features stats ads
  multigate features delta ads prices.csv`,
  )
  features
    .command('import')
    .description('import the features of entities, such as ads, as a new version of a table')
    .argument('<file>', '.csv, .csv.gz, .parquet or .jsonl: a row for each key')
    .requiredOption('--key <column>', 'the column of keys')
    .option('--name <table>', "the table's name (default: that of the file)")
    .option('--models <folder>', 'the models folder, which the table is beside', 'models')
    .option('--columns <names>', 'columns to import, with commas between (default: all)', names)
    .option('--text <names>', 'columns of text, even where all values are numbers', names, [])
    .option('--list <column=separator>', 'a column of a CSV file with a list in each cell; repeatable', list, [])
    .addOption(new Option('--keep <row>', 'of rows with the same key, instead of refusing them').choices(['last']))
    .option('--table-version <number>', 'default: the one after the highest')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
A CSV column is one of numbers where each of its cells is a number; an empty cell has no value.

Examples:
  multigate features import ads.parquet --key ad_id
  multigate features import ads.csv --key ad_id --columns campaign,price,tags --list "tags=|" --text campaign`,
    )
    .action(async (file: string, flags: ImportFlags) => {
      const { runImport } = await import('./run-features.ts')
      const { list, keep, tableVersion, ...rest } = flags
      await runImport({
        ...context,
        ...rest,
        file,
        lists: new Map(list),
        doubled: keep ?? 'refuse',
        version: tableVersion,
      })
    })
  features
    .command('get')
    .description('print the rows with these keys')
    .argument('<table>', "a table's name, or the folder of a version of it")
    .argument('<key...>', 'keys')
    .option('--models <folder>', 'the models folder', 'models')
    .addHelpText(
      'after',
      `
Examples:
  multigate features get ads ad-17 ad-18
  multigate features get models/.tables/ads/3 ad-17

Exit codes: 0 all keys are there, 1 at least one is not.`,
    )
    .action(async (table: string, keys: string[], flags: { models: string }) => {
      const { runGet } = await import('./run-features.ts')
      await runGet({ ...context, ...flags, table, keys })
    })
  features
    .command('stats')
    .description('print the rows, bytes and columns of a table')
    .argument('<table>', "a table's name, or the folder of a version of it")
    .option('--models <folder>', 'the models folder', 'models')
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Examples:
  multigate features stats ads`,
    )
    .action(async (table: string, flags: { models: string; json: boolean }) => {
      const { runStats } = await import('./run-features.ts')
      await runStats({ ...context, ...flags, table })
    })
  addDelta(features, context)
  return features
}

interface DeltaFlags {
  remove?: string
  models: string
  columns?: string[]
  list: [string, string][]
  keep?: 'last'
  json: boolean
}

function addDelta(features: Command, context: CommandContext): void {
  features
    .command('delta')
    .description('write the next delta of a table: rows that are replaced, added or removed while it is served')
    .argument('<table>', "a table's name, or the folder of a version of it")
    .argument('[file]', '.csv, .csv.gz, .parquet or .jsonl: the keys, and the columns that change')
    .option('--remove <file>', 'a file with the keys of rows that are removed')
    .option('--models <folder>', 'the models folder', 'models')
    .option('--columns <names>', 'columns that change, with commas between (default: all in the file)', names)
    .option('--list <column=separator>', 'a column of a CSV file with a list in each cell; repeatable', list, [])
    .addOption(new Option('--keep <row>', 'of rows with the same key, instead of refusing them').choices(['last']))
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Rows keep the values of columns that the file lacks; an empty cell takes a value away. A key that the table does not
have becomes a new row. Servers follow at their next look at the models folder; to revert the last delta, delete its file.

Examples:
  multigate features delta ads prices.csv
  multigate features delta ads new-ads.parquet --remove ended.csv`,
    )
    .action(async (table: string, file: string | undefined, flags: DeltaFlags) => {
      const { runDelta } = await import('./run-features.ts')
      const { list, keep, remove, columns, ...rest } = flags
      const options = { table, file, remove, columns, lists: new Map(list), doubled: keep ?? ('refuse' as const) }
      await runDelta({ ...context, ...rest, ...options })
    })
}

const names = (value: string) => value.split(',').map((name) => name.trim())

function list(value: string, before: [string, string][]): [string, string][] {
  const at = value.lastIndexOf('=')
  const [column, separator] = [value.slice(0, at), value.slice(at + 1)]
  if (at < 1 || separator === '') throw new InvalidArgumentError('must be a column, = and a separator, such as tags=|')
  return [...before, [column, separator]]
}
