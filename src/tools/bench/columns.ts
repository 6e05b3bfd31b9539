import { ModelError } from '../../base/errors.ts'

/** Columns by input. */
export type ColumnChoice = Record<string, number[]>

/**
 * `sparse=0-12,dense=0-5+9` → columns by input, both ends included.
 *
 * Throws INVALID_REQUEST, naming an invalid part.
 */
export function parseColumns(text: string): ColumnChoice {
  // Inputs may have any name, such as `__proto__`.
  const choice: ColumnChoice = Object.create(null)
  for (const part of text.split(',')) {
    const [name, list, ...more] = part.split('=').map((side) => side.trim())
    if (!name || !list || more.length > 0) throw wrong(part)
    const columns = list.split('+').flatMap((range) => {
      const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(range)
      const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
      if (match === null || to < from) throw wrong(part)
      return Array.from({ length: to - from + 1 }, (_, i) => from + i)
    })
    choice[name] = [...(choice[name] ?? []), ...columns]
  }
  return choice
}

function wrong(part: string): ModelError {
  return new ModelError('INVALID_REQUEST', `${part}: columns have the form sparse=0-12,dense=0-5+9`)
}

/** Throws INVALID_REQUEST for inputs and columns that a graph does not have. */
export function checkColumns(choice: ColumnChoice, inputs: { name: string; width: number }[], option: string): void {
  for (const [name, columns] of Object.entries(choice)) {
    const input = inputs.find((candidate) => candidate.name === name)
    if (input === undefined) {
      const names = inputs.map(({ name }) => name).join(', ')
      throw new ModelError('INVALID_REQUEST', `${option}: there is no input ${name}; the inputs are ${names}`)
    }
    const beyond = columns.find((column) => column >= input.width)
    if (beyond !== undefined)
      throw new ModelError(
        'INVALID_REQUEST',
        `${option}: ${name} has ${input.width} columns, 0 … ${input.width - 1}, not ${beyond}`,
      )
  }
}
