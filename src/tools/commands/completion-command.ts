import { Argument, Command } from 'commander'
import type { CommandContext } from '../../base/command.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

/** `multigate completion`: a script that completes `commands`, and itself. */
export function createCompletionCommand(commands: readonly Command[], { out }: CommandContext): Command {
  const completion = new Command('completion')
  return completion
    .description('print a script that completes commands, options and files in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText(
      'after',
      `
Examples:
  multigate completion bash > ~/.local/share/bash-completion/completions/multigate
  multigate completion zsh > "\${fpath[1]}/_multigate"
  multigate completion fish > ~/.config/fish/completions/multigate.fish

Print it again after an update. The script starts no process of its own.`,
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import('./completion.ts')
      out.write(completionScript(shell, [...commands, completion]))
    })
}
