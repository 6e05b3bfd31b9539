import { Command, CommanderError, Help, type Option } from 'commander'
import { hideCredentialsIn } from '../../base/address-credentials.ts'
import type { CommandContext } from '../../base/command.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { multigateVersion } from '../../base/project.ts'
import { clearProgress } from '../../base/terminal.ts'
import { SpecError } from '../data/source.ts'

/** Exit code after an interrupt; 2 stands for wrong usage, 1 for any other failure. */
const interrupted = 130

/**
 * Runs the command line of the context with these commands and resolves with the exit code. Errors are printed without
 * a stack trace; for unexpected errors the environment variable DEBUG adds it. Passwords in addresses are not printed.
 */
export async function runProgram(commands: Command[], context: CommandContext): Promise<number> {
  const { args, signal, out, err } = context
  const program = new Command('multigate')
    .description('Multi-task ranking models: train, evaluate, serve')
    .version(multigateVersion)
    .addHelpText(
      'after',
      `
Examples:
  multigate serve --models models
  multigate doctor
  multigate train --help

Exit codes are those of docs/commands.md.`,
    )
    .showHelpAfterError('(--help lists commands and options)')
  for (const command of commands) program.addCommand(command)
  for (const command of withSubcommands(program))
    command
      .exitOverride()
      .configureHelp({ optionDescription })
      .configureOutput({
        writeOut: (text) => out.write(text),
        writeErr: (text) => err.write(text),
        outputError: (text, write) => write(hideCredentialsIn(text)),
      })
  try {
    await program.parseAsync(args, { from: 'user' })
    return context.exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    clearProgress(err)
    if (signal.aborted) {
      err.write('Stopped; nothing was written.\n')
      return interrupted
    }
    const expected = error instanceof SpecError || error instanceof ModelError
    const text = expected || !(error instanceof Error) || !process.env.DEBUG ? reasonOf(error) : error.stack
    err.write(`${hideCredentialsIn(text ?? '')}\n`)
    return 1
  }
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

function optionDescription(option: Option): string {
  const description = new Help().optionDescription(option)
  return option.mandatory ? `${description} (required)` : description
}
