import type { Command } from 'commander'
import t from 'tap'
import { createCommands } from '../../../src/tools/commands/all-commands.ts'
import { commandContext } from '../../support/cli.ts'

const { context } = commandContext()

/** Every command, the groups among them, with its words after `multigate`. */
function allOf(commands: readonly Command[], before: string[] = []): { path: string[]; command: Command }[] {
  return commands.flatMap((command) => {
    const path = [...before, command.name()]
    return [{ path, command }, ...allOf(command.commands, path)]
  })
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (piece) => (text += piece) })
  command.outputHelp()
  return text
}

/** The words of each example that runs multigate, as a shell splits them. */
function examplesIn(help: string): string[][] {
  return help
    .split('\n')
    .map((line) => /^ {2}(?:[A-Z_]+=\S+ )*(?:multigate (.*)|npm start(?: --)?(.*))$/.exec(line))
    .filter((match) => match !== null)
    .map(([, command, flags]) => command ?? `serve ${flags!.trim()}`)
    .map((text) => text.replace(/ {2,}.*$| [|>] .*$/, '').trim())
    .map((text) => [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c!))
}

/** Has the command's own parser read an example; the command does not run. */
async function parse([name, ...words]: string[]): Promise<void> {
  let command = (await createCommands(context)).find((one) => one.name() === name)
  if (command === undefined) throw new Error(`there is no command ${name}`)
  while (command.commands.length > 0) {
    const next: Command | undefined = command.commands.find((one) => one.name() === words[0])
    if (next === undefined) throw new Error(`${command.name()} has no command ${words[0]}`)
    command = next
    words.shift()
  }
  const known = command.options.map(({ long }) => long)
  const unknown = words.filter((word) => word.startsWith('--') && !known.includes(word.split('=')[0]!))
  if (unknown.length > 0 && unknown.join() !== '--help') throw new Error(`${name} has no ${unknown.join()}`)
  if (unknown.length > 0) return
  command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(() => undefined)
  await command.parseAsync(words, { from: 'user' })
}

t.test('every command has an example of its own, which its parser takes', async (t) => {
  const all = allOf(await createCommands(context))
  t.ok(all.length > 25)
  for (const { path, command } of all) {
    const examples = examplesIn(helpOf(command))
    t.ok(
      examples.some((words) => path.every((word, i) => words[i] === word)),
      `${path.join(' ')} has an example`,
    )
    for (const words of examples) await t.resolves(parse(words), words.join(' '))
  }
})

t.test('examples that are wrong are found', async (t) => {
  t.same(examplesIn("\n  A=1 multigate keys create 'a b' | jq .x\n  multigate pin a 3     what it does\n"), [
    ['keys', 'create', 'a b'],
    ['pin', 'a', '3'],
  ])
  await t.rejects(parse(['nothing']))
  await t.rejects(parse(['doctor', '--colour']))
  await t.rejects(parse(['capacity', '--rate', 'nonsense']))
  await t.rejects(parse(['pin', 'ads']))
  await t.rejects(parse(['serve', '--ports', '1']))
  await t.rejects(parse(['keys', 'remove', 'x']))
})
