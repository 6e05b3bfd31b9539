import { createInterface } from 'node:readline'
import { Check } from 'typebox/schema'
import { ModelError } from '../../base/errors.ts'
import { triedLength } from '../../model/graph/ir/free-lengths.ts'
import type { ImportManifest } from '../../schemas/import.ts'
import { longestList } from '../../schemas/list-options.ts'
import { ModelName } from '../../schemas/manifest.ts'
import { type ChosenDerived, parseDerived } from './derived-option.ts'
import { unknownField } from './fields.ts'
import type { Scaffold } from './init.ts'
import { parseNames, parseTaskNames } from './name-options.ts'

/** Answers of the person at the terminal; each has been checked. Undefined: not asked, or nothing was answered. */
export interface Answers {
  name: string
  stated: ImportManifest | undefined
  tasks: string[] | undefined
  context: string[] | undefined
  /** Most values of lists that may be of any length, by input. */
  longest: ReadonlyMap<string, number> | undefined
  derived: ChosenDerived[]
  golden: string | undefined
  data: string | undefined
}

/** Whether the options say it already: then it is not asked. */
export type Given = Record<'name' | 'fields' | 'tasks' | 'derived' | 'golden' | 'data', boolean>

export interface Terminal {
  input: NodeJS.ReadableStream
  output: NodeJS.WritableStream
  signal: AbortSignal
}

/** Checks of files that are named; they throw what is wrong. */
export interface Checks {
  /** Reads a file of fields that fits the graph. */
  fields(path: string): Promise<ImportManifest>
  golden(path: string): Promise<unknown>
  data(path: string): Promise<unknown>
}

/** Beginnings of names that fields of the context usually have. */
const contextNames =
  /^(user|ctx|context|session|page|query|device|os|browser|hour|day|week|country|city|age|gender|hist|recent|past|last_|seen|viewed|clicked|bought)/i

/**
 * Asks what a graph does not say, each question with a guess that Enter accepts; a wrong answer is asked for again.
 * Rejects with INVALID_REQUEST where the terminal is closed.
 */
export async function askChoices(
  { manifest, anyLength }: Scaffold,
  given: Given,
  checks: Checks,
  terminal: Terminal,
): Promise<Answers> {
  const { ask, close } = openQuestions(terminal)
  const columns = manifest.features.map(({ name }) => name)
  const known = manifest.tasks.map(({ name }) => name)
  const askFile = (question: string, check: (path: string) => Promise<unknown>) =>
    ask(question, '', async (path) => {
      if (path === '') return undefined
      await check(path)
      return path
    })
  try {
    const name = given.name ? manifest.name : await ask('Name of the model', manifest.name, modelName)
    const stated = given.fields
      ? undefined
      : await ask('File of fields, with their values and scaling (docs/bundles.md#features)', '', (path) =>
          path === '' ? undefined : checks.fields(path),
        )
    const tasks =
      given.tasks || stated?.tasks
        ? undefined
        : await ask('Tasks, in the order of the columns of the output', known.join(','), (answer) => {
            const names = parseTaskNames(answer)
            if (names.length !== known.length) throw new Error(`the output has ${known.length} columns`)
            return names
          })
    const context =
      given.fields || stated
        ? undefined
        : await ask(
            `Which of ${columns.join(', ')} are of the context (user, page)`,
            usualContext(columns).join(','),
            namesAmong(columns),
          )
    const longest = stated || anyLength.length === 0 ? undefined : new Map<string, number>()
    if (longest !== undefined)
      for (const names of anyLength) {
        const question = `Most values of ${names.join(' and ')}, of which there may be any number`
        const most = await ask(question, `${triedLength}`, lengthOf)
        for (const name of names) longest.set(name, most)
      }
    const all = stated?.tasks?.map((task) => task.name) ?? tasks ?? known
    const derived =
      given.derived || stated?.derived.length
        ? []
        : await ask('Derived tasks, such as buy=click*cart', '', (answer) => derivedOf(answer, all))
    const golden = given.golden
      ? undefined
      : await askFile('File of rows with answers of the training program', checks.golden)
    const data = given.data ? undefined : await askFile('Spec of rows with labels, to judge it', checks.data)
    return { name, stated, tasks, context, longest, derived, golden, data }
  } finally {
    close()
  }
}

function openQuestions({ input, output, signal }: Terminal) {
  const lines = createInterface({ input, output, signal })
  // Ctrl-C ends the command as it does elsewhere.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  // Lines that are typed ahead wait for their question.
  const typed = lines[Symbol.asyncIterator]()

  async function ask<T>(question: string, guess: string, read: (answer: string) => T | Promise<T>): Promise<T> {
    for (;;) {
      lines.setPrompt(`${question} [${guess || 'none'}]: `)
      lines.prompt()
      const { value: text, done } = await typed.next()
      if (done) throw new ModelError('INVALID_REQUEST', 'stopped: nothing was written')
      try {
        return await read(text.trim() || guess)
      } catch (error) {
        output.write(`  ${error instanceof Error ? error.message : error}\n`)
      }
    }
  }

  return { ask, close: () => lines.close() }
}

function modelName(answer: string): string {
  if (Check(ModelName, answer)) return answer
  throw new Error(`${JSON.stringify(answer)} can't be the name of a model`)
}

function lengthOf(answer: string): number {
  const length = Number(answer)
  if (Number.isInteger(length) && length >= 1 && length <= longestList) return length
  throw new Error(`${JSON.stringify(answer)} is no whole number from 1 to ${longestList}`)
}

/** None where all would be: there are candidates. */
function usualContext(columns: string[]): string[] {
  const guessed = columns.filter((name) => contextNames.test(name))
  return guessed.length < columns.length ? guessed : []
}

function namesAmong(fields: string[]): (answer: string) => string[] {
  return (answer) => {
    const names = answer === '' || answer === 'none' ? [] : parseNames(answer)
    const unknown = names.find((name) => !fields.includes(name))
    if (unknown !== undefined) throw new Error(unknownField(unknown, fields))
    return names
  }
}

function derivedOf(answer: string, tasks: string[]): ChosenDerived[] {
  const chosen = answer === '' || answer === 'none' ? [] : parseDerived(answer)
  const unknown = chosen.flatMap(({ product }) => product).find((factor) => !tasks.includes(factor))
  if (unknown !== undefined) throw new Error(`${unknown} is none of the tasks: ${tasks.join(', ')}`)
  return chosen
}
