import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import t from 'tap'
import { runProgram } from '../../src/app/program.ts'
import { createCommands } from '../../src/commands/all-commands.ts'
import { ModelError } from '../../src/model/base/errors.ts'

const documented = readFileSync(join(import.meta.dirname, '../../../docs/commands.md'), 'utf8')

t.test('every command is documented, in one line, and no other', async (t) => {
  const names = [...documented.matchAll(/^\| `([a-z]+)` \| /gm)].map(([, name]) => name!)
  const commands = await createCommands({ signal: new AbortController().signal })
  t.same(names.sort(), commands.map((command) => command.name()).sort())
})

t.test('exit codes are those of the documentation', async (t) => {
  t.capture(console, 'error')
  t.capture(process.stderr, 'write')
  t.capture(process.stdout, 'write')
  const former = process.exitCode
  t.teardown(() => {
    process.exitCode = former
  })
  const run = async (args: string[], act: (stop: AbortController) => void = () => undefined) => {
    process.exitCode = undefined
    const stop = new AbortController()
    const command = new Command('work').option('--rows <n>').action(() => act(stop))
    return runProgram([command], args, stop.signal)
  }
  const codes = {
    0: [await run(['work']), await run(['--help']), await run(['--version'])],
    1: [
      await run(['work'], () => {
        throw new ModelError('MODEL_FAILED', 'it failed')
      }),
      await run(['work'], () => {
        process.exitCode = 1
      }),
    ],
    2: [await run(['nothing']), await run(['work', '--colour']), await run(['work', '--rows'])],
    3: [
      await run(['work'], () => {
        process.exitCode = 3
      }),
    ],
    130: [
      await run(['work'], (stop) => {
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
  const lines: string[] = []
  t.intercept(console, 'error', { value: (text: string) => lines.push(text) })
  t.intercept(process.stderr, 'write', { value: (text: string) => lines.push(text) })
  t.teardown(() => {
    process.exitCode = 0
  })
  const parse = () => {
    throw new InvalidArgumentError('It must be an http or https URL.')
  }
  const command = new Command('work').option('--url <url>', 'where', parse).action(() => {
    throw new Error('http://me:secret@host is away')
  })
  for (const args of [['work'], ['work', '--url', 'http://me:se/cret@host']])
    await runProgram([command], args, new AbortController().signal)
  t.match(
    lines.join('\n'),
    /http:\/\/…@host is away\nerror: option '--url <url>' argument 'http:\/\/…@host' is invalid/,
  )
  t.notMatch(lines.join('\n'), /cret/)
})
