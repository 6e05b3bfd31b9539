import { Command, Option } from 'commander'
import { type CommandContext, numberFrom, wholeNumber } from '../../base/command.ts'
import type { ConvertFlags } from './run-convert.ts'

/** `multigate log`. Libraries are imported when a command runs. */
export function createLogCommand(context: CommandContext): Command {
  const command = new Command('log').description(
    'look into a prediction log, convert, sample and erase records; see docs/prediction-log.md',
  )
  command.addHelpText(
    'after',
    `
Examples:
  multigate log stats log
  multigate log tail log --rows 5
  multigate log convert log
  multigate log erase log --field user --value u1`,
  )
  command
    .command('stats')
    .description('requests, candidates and mean probabilities by version')
    .argument('<log>', 'the prediction log: a folder or file, s3://bucket/prefix or gs://bucket/prefix')
    .option('--json', 'print JSON', false)
    .option('--skip-damaged', 'do without the rest of damaged files', false)
    .addHelpText('after', '\nExample:\n  multigate log stats log --json')
    .action(async (log: string, flags: { json: boolean; skipDamaged: boolean }) => {
      const { runStats } = await import('./run-log.ts')
      await runStats({ ...context, ...flags, log })
    })
  command
    .command('tail')
    .description('the last records, as lines of JSON')
    .argument('<log>', 'the prediction log: a folder or file, s3://bucket/prefix or gs://bucket/prefix')
    .option('--rows <number>', 'records', wholeNumber(1, 100_000), 10)
    .option('--skip-damaged', 'do without the rest of damaged files', false)
    .addHelpText('after', '\nExample:\n  multigate log tail log --rows 5')
    .action(async (log: string, flags: { rows: number; skipDamaged: boolean }) => {
      const { runTail } = await import('./run-log.ts')
      await runTail({ ...context, ...flags, log })
    })
  command
    .command('convert')
    .description('convert finished files to Parquet, or back to lines of JSON')
    .argument('<folder>', 'the prediction log, or one of its files')
    .option('--to <folder>', 'write them there, and leave the log unchanged')
    .addOption(new Option('--format <format>', 'of the new files').choices(['parquet', 'jsonl']).default('parquet'))
    .option('--skip-damaged', 'leave damaged lines out', false)
    .addHelpText('after', '\nExample:\n  multigate log convert log')
    .action(async (folder: string, flags: Omit<ConvertFlags, 'folder'>) => {
      const { runConvert } = await import('./run-convert.ts')
      if (!(await runConvert({ ...context, ...flags, folder }))) context.exitCode = 1
    })
  command
    .command('sample')
    .description('a share of the records, by the hash that the server samples by')
    .argument('<log>', 'the prediction log: a folder or file, s3://bucket/prefix or gs://bucket/prefix')
    .requiredOption('--rate <share>', 'share of the records', numberFrom(0, 1))
    .requiredOption('--out <file>', 'a new file, of lines of JSON')
    .option('--skip-damaged', 'do without the rest of damaged files', false)
    .addHelpText('after', '\nExample:\n  multigate log sample log --rate .01 --out sample.jsonl')
    .action(async (log: string, { rate, out, skipDamaged }: { rate: number; out: string; skipDamaged: boolean }) => {
      const { runSample } = await import('./run-sample.ts')
      await runSample({ ...context, log, rate, file: out, skipDamaged })
    })
  command
    .command('erase')
    .description('remove the records that have a value in a field, or its hash')
    .argument('<folder>', 'the prediction log, or one of its files')
    .requiredOption('--field <name>', 'a field of the context or of candidates, or the id of candidates')
    .requiredOption('--value <value>', 'the value whose records go')
    .addHelpText(
      'after',
      `
Hashes need the secret that they were made by, MULTIGATE_LOG_SECRET. Files that are being written, or damaged, are
not changed: the exit code is 1 where they have such records, or may have some.

Example:
  multigate log erase log --field user --value u1`,
    )
    .action(async (folder: string, flags: { field: string; value: string }) => {
      const { runErase } = await import('./run-erase.ts')
      const secret = process.env.MULTIGATE_LOG_SECRET || undefined
      if (!(await runErase({ ...context, ...flags, folder, secret }))) context.exitCode = 1
    })
  return command
}
