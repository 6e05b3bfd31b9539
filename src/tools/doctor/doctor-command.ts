import { Command } from 'commander'
import type { CommandContext } from '../../base/command.ts'
import { showWork } from '../../base/terminal.ts'

/** `multigate doctor` */
export function createDoctorCommand(context: CommandContext): Command {
  return new Command('doctor')
    .description('check this machine and the settings; print a report for bug reports, without secrets')
    .addHelpText(
      'after',
      `
Examples:
  multigate doctor
  MULTIGATE_MODELS=/models multigate doctor

Reads the same MULTIGATE_ variables as the server, and all bytes of feature tables. Ends with 1 if a check fails.`,
    )
    .action(async () => {
      const { examine } = await import('./doctor.ts')
      const { text, failed } = await showWork(context.err, 'checking', () => examine(process.env))
      context.out.write(`${text}\n`)
      if (failed > 0) context.exitCode = 1
    })
}
