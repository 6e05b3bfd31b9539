import { createInterface } from 'node:readline'
import { Check } from 'typebox/schema'
import { ModelError } from '../../base/errors.ts'
import { ModelName } from '../../schemas/manifest.ts'
import { type ChosenDerived, parseDerived } from './derived-option.ts'
import { unknownField } from './fields.ts'
import type { Scaffold } from './init.ts'
import { parseNames, parseTaskNames } from './name-options.ts'

/** Answers of the person at the terminal; each has been checked. */
export interface Answers {
  name: string
  tasks: string[]
  /** Undefined where the options say the sides. */
  context: string[] | undefined
  derived: ChosenDerived[]
  /** Path of a spec of labelled rows. */
  data: string | undefined
}

/** Answers that the options gave already: nothing is asked of those. */
export interface Given {
  name: boolean
  tasks: boolean
  fields: boolean
  derived: boolean
  data: boolean
}

/** Beginnings of names that fields of the context usually have. */
const contextNames = /^(user|ctx|context|session|page|query|device|os|browser|hour|day|week|country|city|age|gender)/i

/**
 * Asks what a graph does not say, each question with a guess that Enter accepts; a wrong answer is asked for again.
 * Rejects with INVALID_REQUEST where the terminal is closed.
 */
export async function askChoices(
  { manifest }: Scaffold,
  given: Given,
  terminal: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream; signal: AbortSignal },
): Promise<Answers> {
  const lines = createInterface({ input: terminal.input, output: terminal.output, signal: terminal.signal })
  // Lines that are typed ahead wait for their question.
  const typed = lines[Symbol.asyncIterator]()

  async function ask<T>(question: string, guess: string, read: (answer: string) => T): Promise<T> {
    for (;;) {
      lines.setPrompt(`${question} [${guess || 'none'}]: `)
      lines.prompt()
      const { value: text, done } = await typed.next()
      if (done) throw new ModelError('INVALID_REQUEST', 'stopped: nothing was written')
      try {
        return read(text.trim() || guess)
      } catch (error) {
        terminal.output.write(`  ${error instanceof Error ? error.message : error}\n`)
      }
    }
  }

  const fields = manifest.features.map(({ name }) => name)
  const known = manifest.tasks.map(({ name }) => name)
  const guessed = fields.filter((name) => contextNames.test(name))
  try {
    const name = given.name ? manifest.name : await ask('Name of the model', manifest.name, modelName)
    const tasks = given.tasks
      ? known
      : await ask('Tasks, in the order of the columns of the output', known.join(','), (answer) => {
          const names = parseTaskNames(answer)
          if (names.length !== known.length) throw new Error(`the output has ${known.length} columns`)
          return names
        })
    if (!given.fields) terminal.output.write(`Fields: ${fields.join(', ')}\n`)
    const context = given.fields
      ? undefined
      : await ask(
          'Fields of the context (user, page), alike for all candidates',
          guessed.length < fields.length ? guessed.join(',') : '',
          namesAmong(fields),
        )
    const derived = given.derived
      ? []
      : await ask('Derived tasks, such as buy=click*cart', '', (answer) => {
          const chosen = answer === '' || answer === 'none' ? [] : parseDerived(answer)
          const unknown = chosen.flatMap(({ product }) => product).find((factor) => !tasks.includes(factor))
          if (unknown !== undefined) throw new Error(`${unknown} is none of the tasks: ${tasks.join(', ')}`)
          return chosen
        })
    const data = given.data ? undefined : await ask('Spec of rows with labels, to judge it', '', (answer) => answer)
    return { name, tasks, context, derived, data: data || undefined }
  } finally {
    lines.close()
  }
}

function modelName(answer: string): string {
  if (Check(ModelName, answer)) return answer
  throw new Error(`${JSON.stringify(answer)} can't be the name of a model`)
}

function namesAmong(fields: string[]): (answer: string) => string[] {
  return (answer) => {
    const names = answer === '' || answer === 'none' ? [] : parseNames(answer)
    const unknown = names.find((name) => !fields.includes(name))
    if (unknown !== undefined) throw new Error(unknownField(unknown, fields))
    return names
  }
}
