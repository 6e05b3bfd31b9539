import { Command, InvalidArgumentError } from 'commander'

/** The argument of an option, empty for a flag, what it means, how its text is read, and its default. */
type Option = readonly [argument: string, meaning: string, read?: (text: string) => unknown, standard?: unknown]

/** By their names in camel case. */
export type Options = Readonly<Record<string, Option>>

type ValueOf<T extends Option> = T extends readonly ['', string]
  ? boolean | undefined
  : T extends readonly [string, string, (text: string) => infer V, unknown]
    ? V
    : T extends readonly [string, string, (text: string) => infer V]
      ? V | undefined
      : string | undefined

export type ValuesOf<T extends Options> = { -readonly [K in keyof T]: ValueOf<T[K]> }

interface Declared<T extends Options> {
  /** The command, as people type it. */
  name: string
  description: string
  options: T
  /** More to say in its help. */
  more?: string
}

/** Reads the options of a command; ends the process where they are wrong or ask for help. */
export function readOptions<const T extends Options>(
  argv: readonly string[],
  { name, description, options, more = '' }: Declared<T>,
): ValuesOf<T> {
  const command = new Command(name).description(description).addHelpText('after', more)
  for (const [key, [argument, meaning, read = String, standard]] of Object.entries(options)) {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (argument === '') command.option(flag, meaning)
    else command.option(`${flag} ${argument}`, meaning, read, standard)
  }
  return command.parse(argv, { from: 'user' }).opts()
}

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
