import { Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import { ModelError } from '../../base/errors.ts'
import { showWork } from '../../base/terminal.ts'
import type { CheckedDelta } from './delta.ts'

interface WriteOptions {
  rows: string
  field: string
  sequence?: number
}

/** `multigate delta` */
export function createDeltaCommand({ out, err }: CommandContext): Command {
  const delta = new Command('delta').description(
    'write and check deltas: new rows of the tables of a version that is served',
  )
  delta.addHelpText(
    'after',
    `
Examples:
  multigate delta write models/ads/3 --rows rows.csv --field ad_id
  multigate delta check models/ads/3/deltas/*`,
  )
  delta
    .command('write')
    .description('write the next delta of a version from a file of rows')
    .argument('<version folder>', 'folder of a version, such as models/ads-funnel/3')
    .requiredOption(
      '--rows <file>',
      'CSV or Parquet: a column id, or one called after the field, and the columns of its rows',
    )
    .requiredOption('--field <name>', 'the live field whose rows they are')
    .option('--sequence <n>', 'number of the delta (default: the one after the last)', parseSequence)
    .addHelpText(
      'after',
      `
Examples:
  multigate delta write models/ads/3 --rows rows.csv --field ad_id
  multigate delta write models/ads/3 --rows rows.parquet --field ad_id --sequence 7

Servers of models/ follow at their next scan; to revert the last delta, delete its file. docs/live-tables.md has the format.`,
    )
    .action(async (folder: string, options: WriteOptions) => {
      const { writeDelta } = await import('./delta.ts')
      const { path, rows, width } = await showWork(err, `reading ${options.rows}`, () =>
        writeDelta({ folder, ...options }),
      )
      out.write(`${path}: ${rows} rows × ${width}\n`)
    })
  delta
    .command('check')
    .description('check delta files; those in the folder deltas of a version against that version too')
    .argument('<file...>', 'delta files')
    .addHelpText(
      'after',
      `
Examples:
  multigate delta check models/ads/3/deltas/*

Exit codes: 0 all are in order, 1 at least one is not.`,
    )
    .action(async (paths: string[]) => {
      const { checkDeltas } = await import('./delta.ts')
      const checked = await showWork(err, `checking ${paths.length} files`, () => checkDeltas(paths))
      for (const one of checked) out.write(`${describeDelta(one)}\n`)
      const wrong = checked.filter(({ problem }) => problem !== undefined).length
      if (wrong > 0) throw new ModelError('INVALID_BUNDLE', `${wrong} of ${checked.length} deltas would be refused`)
    })
  return delta
}

function describeDelta({ path, compared, delta, problem }: CheckedDelta): string {
  if (delta === undefined) return `${path}: ${problem}`
  const tables = delta.tables.map(({ field, ids, width }) => `${field} ${ids.length} rows × ${width}`).join(', ')
  const note = compared ? '' : '; not compared with a version'
  return `${path}: number ${delta.sequence} of ${delta.model}/${delta.version}: ${tables}${note}`
}

function parseSequence(value: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(value)) return Number(value)
  throw new InvalidArgumentError('must be a whole number from 1 to 999999999.')
}
