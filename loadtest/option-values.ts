import { InvalidArgumentError } from 'commander'

/** Reads a number above 0. */
export function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 3600)) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

/** Reads a whole number above 0. */
export function count(text: string): number {
  const value = positive(text)
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}

/** Reads names, separated by commas, in the order of those that there are. */
export function listOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) => {
    const wanted = text.split(',').map((name) => name.trim())
    const wrong = wanted.find((name) => !(known as readonly string[]).includes(name))
    if (wrong !== undefined) throw new InvalidArgumentError(`There is no ${wrong}.`)
    return known.filter((name) => wanted.includes(name))
  }
}

/** Reads numbers, separated by commas. */
export const numbers = (text: string) => text.split(',').map(Number)
