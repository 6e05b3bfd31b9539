import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createCommands } from '../../../src/tools/commands/all-commands.ts'
import { completionScript } from '../../../src/tools/commands/completion.ts'
import { commandContext, runCli, spawnCli } from '../../support/cli.ts'
import { onTerminal, skipWithoutTerminal } from '../../support/pseudo-terminal.ts'
import { until } from '../../support/until.ts'

const commands = await createCommands(commandContext().context)
const isMissing = (shell: string) => spawnSync(shell, ['-c', 'true']).status !== 0 && `${shell} is not installed`

function scriptOf(t: Test, shell: 'bash' | 'zsh' | 'fish'): string {
  const folder = t.testdir({ 'model.onnx': '' })
  writeFileSync(join(folder, 'script'), completionScript(shell, commands))
  return folder
}

/** Typed text, and its completions: some that must be offered, and some that must not. */
const cases: [typed: string, offered: string[], not: string[]][] = [
  ['ev', ['evaluate'], ['serve']],
  ['keys ', ['create', 'list', 'revoke'], ['train']],
  ['keys create --sc', ['--scope'], ['--rows']],
  ['calibrate --method ', ['auto', 'platt', 'isotonic'], ['--data']],
  ['completion ', ['bash', 'zsh', 'fish'], []],
  ['top --', ['--url', '--json', '--help'], ['--models']],
  ['serve --log-format ', ['auto', 'pino', 'iso'], []],
  ['compile mod', ['model.onnx'], ['evaluate']],
  ['train --models mod', ['model.onnx'], ['evaluate']],
]

t.test('bash', { skip: isMissing('bash') }, async (t) => {
  const cwd = scriptOf(t, 'bash')
  const complete = (typed: string) => {
    const words = ['multigate', ...typed.split(' ')].map((word) => `'${word}'`).join(' ')
    const program = `source ./script; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _multigate
      printf '%s\\n' "\${COMPREPLY[@]:-$(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', program], { cwd, encoding: 'utf8' })
    t.equal(stderr, '')
    return stdout.trim().split('\n')
  }
  for (const [typed, offered, not] of cases) {
    const found = complete(typed)
    for (const word of offered) t.ok(found.includes(word), `${typed}: ${word} of ${found}`)
    for (const word of not) t.notOk(found.includes(word), `${typed}: not ${word}`)
  }
  t.same(complete('calibrate --method = pl'), ['platt'], 'bash splits --method=pl')
})

t.test('fish', { skip: isMissing('fish') }, async (t) => {
  const cwd = scriptOf(t, 'fish')
  for (const [typed, offered, not] of cases) {
    const program = `source ./script; complete -C 'multigate ${typed}'`
    const env = { ...process.env, HOME: cwd, XDG_CONFIG_HOME: cwd, XDG_DATA_HOME: cwd }
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', program], { cwd, env, encoding: 'utf8' })
    t.equal(stderr, '')
    const found = stdout.split('\n').map((line) => line.split('\t')[0]!)
    for (const word of offered) t.ok(found.includes(word), `${typed}: ${word} of ${found}`)
    for (const word of not) t.notOk(found.includes(word), `${typed}: not ${word}`)
  }
})

t.test('zsh', { skip: skipWithoutTerminal || isMissing('zsh') }, async (t) => {
  const cwd = scriptOf(t, 'zsh')
  const { text, type } = onTerminal(t, ['zsh', '-f', '-i'], { HOME: cwd })
  const run = async (command: string) => {
    type(`${command}; echo do''ne\n`)
    const before = text().split('done').length
    await until(() => text().split('done').length > before)
  }
  await run(`PS1='> '; unsetopt zle_bracketed_paste; cd ${cwd}; autoload -U compinit; compinit -D; source ./script`)
  await run("zstyle ':completion:*' menu no; LISTMAX=1000; setopt no_always_last_prompt")
  // Those that zsh lists; of a single one it writes the rest alone.
  for (const [typed, offered] of cases.filter(([, offered]) => offered.length > 1)) {
    const before = text().length
    type(`multigate ${typed}\t\t`)
    await until(() => offered.every((word) => text().slice(before).includes(word)))
    t.pass(typed)
    // Ctrl-U, not Ctrl-C, which would drop what is typed next.
    type('\u0015')
  }
})

t.test('the command prints the script; another shell is refused', async (t) => {
  t.match(await spawnCli(['completion', 'bash']), { code: 0, stdout: /complete -o default -F _multigate multigate/ })
  t.match(await runCli(['completion', 'csh']), { code: 2, stderr: /bash, zsh, fish/ })
})
