import { Command } from 'commander'
import { type CommandContext, wholeNumber } from '../../base/command.ts'

/** `multigate log`. Libraries are imported when a command runs. */
export function createLogCommand(context: CommandContext): Command {
  const log = new Command('log').description(
    'look into a prediction log, and erase records; see docs/prediction-log.md',
  )
  log.addHelpText(
    'after',
    `
Examples:
  multigate log stats log
  multigate log tail log --rows 5
  multigate log erase log --field user --value u1`,
  )
  log
    .command('stats')
    .description('requests, candidates and mean probabilities by version')
    .argument('<folder>', 'the prediction log')
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExample:\n  multigate log stats log --json')
    .action(async (folder: string, flags: { json: boolean }) => {
      const { runStats } = await import('./run-log.ts')
      await runStats({ ...context, ...flags, folder })
    })
  log
    .command('tail')
    .description('the last records, as lines of JSON')
    .argument('<folder>', 'the prediction log')
    .option('--rows <number>', 'records', wholeNumber(1, 100_000), 10)
    .addHelpText('after', '\nExample:\n  multigate log tail log --rows 5')
    .action(async (folder: string, flags: { rows: number }) => {
      const { runTail } = await import('./run-log.ts')
      await runTail({ ...context, ...flags, folder })
    })
  log
    .command('erase')
    .description('remove the records that have a value in a field, or its hash')
    .argument('<folder>', 'the prediction log')
    .requiredOption('--field <name>', 'a field of the context or of candidates, or the id of candidates')
    .requiredOption('--value <value>', 'the value whose records go')
    .addHelpText(
      'after',
      `
Hashes need the secret that they were made by, MULTIGATE_LOG_SECRET. Files that are being written are not changed: the
exit code is 1 where they have such records.

Example:
  multigate log erase log --field user --value u1`,
    )
    .action(async (folder: string, flags: { field: string; value: string }) => {
      const { runErase } = await import('./run-erase.ts')
      const secret = process.env.MULTIGATE_LOG_SECRET || undefined
      if (!(await runErase({ ...context, ...flags, folder, secret }))) context.exitCode = 1
    })
  return log
}
