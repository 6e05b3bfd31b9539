import { Command } from 'commander'
import { showWork } from '../model/base/terminal.ts'

/** `multigate doctor` */
export function createDoctorCommand(out: { write(text: string): unknown } = process.stdout): Command {
  return new Command('doctor')
    .description('check this machine and the settings; print a report for bug reports, without secrets')
    .addHelpText(
      'after',
      `
Examples:
  multigate doctor
  MULTIGATE_MODELS=/models multigate doctor

Reads the same MULTIGATE_ variables as the server. Ends with 1 if a check fails.`,
    )
    .action(async () => {
      const { examine } = await import('./doctor.ts')
      const { text, failed } = await showWork(process.stderr, 'checking', () => examine(process.env))
      out.write(`${text}\n`)
      if (failed > 0) process.exitCode = 1
    })
}
