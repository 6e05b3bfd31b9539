import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import t from 'tap'
import type { CommandContext } from '../../src/base/command.ts'
import { ModelError } from '../../src/base/errors.ts'
import { createCommands } from '../../src/tools/commands/all-commands.ts'
import { runProgram } from '../../src/tools/commands/program.ts'
import { commandContext } from '../support/cli.ts'

const documented = readFileSync(join(import.meta.dirname, '../../../docs/commands.md'), 'utf8')

t.test('every command is documented, in one line, and no other', async (t) => {
  const names = [...documented.matchAll(/^\| `([a-z]+)` \| /gm)].map(([, name]) => name!)
  const commands = await createCommands(commandContext().context)
  t.same(names.sort(), commands.map((command) => command.name()).sort())
})

t.test('exit codes are those of the documentation', async (t) => {
  const run = async (
    args: string[],
    act: (context: CommandContext, stop: AbortController) => void = () => undefined,
  ) => {
    const stop = new AbortController()
    const { context } = commandContext(args, stop.signal)
    const command = new Command('work').option('--rows <n>').action(() => act(context, stop))
    const group = new Command('group')
    group.command('create').argument('<id>')
    return runProgram([command, group], context)
  }
  const codes = {
    0: [await run(['work']), await run(['--help']), await run(['--version']), await run(['group', 'create', '--help'])],
    1: [
      await run(['work'], () => {
        throw new ModelError('MODEL_FAILED', 'it failed')
      }),
      await run(['work'], (context) => {
        context.exitCode = 1
      }),
    ],
    2: [
      await run(['nothing']),
      await run(['work', '--colour']),
      await run(['work', '--rows']),
      await run(['group', 'create']),
    ],
    3: [
      await run(['work'], (context) => {
        context.exitCode = 3
      }),
    ],
    130: [
      await run(['work'], (_, stop) => {
        stop.abort()
        throw new Error('interrupted')
      }),
    ],
  }
  for (const [code, found] of Object.entries(codes))
    t.ok(
      found.every((one) => one === Number(code)),
      `${code}: ${found}`,
    )
  t.same(
    [...documented.matchAll(/^\| (\d+) \| /gm)].map(([, code]) => code),
    Object.keys(codes),
  )
})

t.test('no error shows the password of an address', async (t) => {
  const parse = () => {
    throw new InvalidArgumentError('It must be an http or https URL.')
  }
  let text = ''
  for (const args of [
    ['work'],
    ['work', '--url', 'http://me:se/cret@host'],
    ['group', 'add', '--url', 'http://me:se/cret@host'],
  ]) {
    const command = new Command('work').option('--url <url>', 'where', parse).action(() => {
      throw new Error('http://me:secret@host is away')
    })
    const group = new Command('group')
    group.command('add').option('--url <url>', 'where', parse)
    const { context, stderr } = commandContext(args)
    await runProgram([command, group], context)
    text += stderr()
  }
  t.match(text, /http:\/\/…@host is away\nerror: option '--url <url>' argument 'http:\/\/…@host' is invalid/)
  t.equal(text.match(/argument 'http:\/\/…@host' is invalid/g)?.length, 2)
  t.notMatch(text, /cret/)
})
