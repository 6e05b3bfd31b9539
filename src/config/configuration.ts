import { Command, Option } from 'commander'
import { envSchema } from 'env-schema'
import { closestName } from '../model/base/closest-name.ts'
import { reasonOf } from '../model/base/errors.ts'
import { Configuration } from '../schemas/configuration.ts'
import { plainMessage, type SchemaError } from '../schemas/plain-message.ts'

/** A setting, by its environment variable. */
export type Key = keyof Configuration

const properties = Configuration.properties as unknown as Record<
  Key,
  { type?: string; anyOf?: { const: string }[]; default: unknown; description: string }
>
export const allSettings = Object.keys(properties) as Key[]

/** Flags that were given, by the variable that each stands for. */
export type ConfigurationFlags = Partial<Record<Key, string>>

/** Longest time for what was accepted to be answered after the drain delay, ms; then the process ends all the same. */
const longestDrain = 30_000

/** Longest time that stopping takes, ms. */
export function longestStop({ MULTIGATE_DRAIN_DELAY_MS }: Configuration): number {
  return MULTIGATE_DRAIN_DELAY_MS + longestDrain
}

export interface ReadConfiguration {
  configuration: Configuration
  /** Variables that begin like ours but are none: most likely misspelt. */
  unknown: string[]
}

/**
 * Reads the configuration from the environment and from flags; a flag wins over its variable.
 *
 * Throws an Error that lists every wrong value.
 */
export function readConfiguration(
  env: Readonly<Record<string, string | undefined>>,
  flags: ConfigurationFlags,
): ReadConfiguration {
  const given = Object.fromEntries(allSettings.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]])))
  const nameOf = (key: Key) => (flags[key] === undefined ? key : `${key} (${flagOf(key)})`)
  const configuration = checkConfiguration({ ...given, ...flags }, nameOf)
  const unknown = Object.keys(env).filter((name) => name.startsWith('MULTIGATE_') && !allSettings.includes(name as Key))
  return { configuration, unknown }
}

/**
 * A whole configuration of the texts given, with the defaults of the others. Throws an Error that lists every wrong value;
 * `nameOf` says what it calls a setting.
 */
export function checkConfiguration(
  given: Partial<Record<Key, string | undefined>>,
  nameOf: (key: Key) => string = (key) => key,
): Configuration {
  const data = Object.fromEntries(
    Object.entries(given).map(([key, text = '']) => {
      const value = words[key as Key]?.[text] ?? text
      // Infinity is a number of JavaScript's, but of no schema: the bounds would not be checked.
      return [key, isNumeric(key as Key) && isInfinite(value) ? Number.NaN : value]
    }),
  )
  try {
    return envSchema<Configuration>({ schema: Configuration, data, env: false, dotenv: false })
  } catch (error) {
    const { errors } = error as { errors?: SchemaError[] }
    if (errors === undefined) throw error
    throw new Error(
      errors
        // A choice has a problem for each value that it is not, and one for all of them.
        .filter(({ keyword }) => keyword !== 'const')
        .map((problem) => {
          const key = problem.instancePath.slice(1) as Key
          const choices = properties[key].anyOf?.map((choice) => choice.const).join(', ')
          return `${nameOf(key)} ${choices === undefined ? plainMessage(problem) : `must be one of ${choices}`}, not ${JSON.stringify(given[key])}`
        })
        .join('; '),
    )
  }
}

/** Words that stand for a number. */
const words: Partial<Record<Key, Record<string, string>>> = { MULTIGATE_PROCESSES: { auto: '0' } }

const isNumeric = (key: Key) => ['integer', 'number'].includes(properties[key].type ?? '')
const isInfinite = (value: string | undefined) => Math.abs(Number(value)) === Number.POSITIVE_INFINITY

/**
 * The command that serves, its flags made from the schema; `run` gets those that were given. `usage` is how people call
 * it where it stands alone.
 */
export function createServeCommand(run: (flags: ConfigurationFlags) => Promise<void>, usage = 'serve'): Command {
  const command = new Command(usage).description('Serve the models of a folder over HTTP')
  for (const key of allSettings) {
    const { type, anyOf, default: value, description } = properties[key]
    const flag = type === 'boolean' ? `${flagOf(key)} [value]` : `${flagOf(key)} <value>`
    const option = new Option(flag, `${description} (${key}; default: ${value === '' ? 'none' : value})`)
    // Commander stops at the first thing that is wrong; here all of it is reported, so values are checked below.
    if (anyOf) option.argChoices = anyOf.map((choice) => choice.const)
    option.required = false
    option.optional = true
    command.addOption(option)
  }
  command.allowUnknownOption().allowExcessArguments()
  command.addHelpText(
    'after',
    `\nExamples:\n  multigate serve --models /srv/models\n  npm start\n  npm start -- --port 8080 --models /srv/models --log-requests\n`,
  )
  return command.action(async (options: Record<string, string | true>) => {
    const flags: ConfigurationFlags = {}
    const wrong = wrongArguments(command.args)
    for (const key of allSettings) {
      const value = options[camelCase(key)]
      if (value === true && properties[key].type !== 'boolean') wrong.push(`${flagOf(key)} needs a value`)
      else if (value !== undefined) flags[key] = String(value)
    }
    if (wrong.length > 0) {
      wrong.push(...wrongValues(flags))
      command.error(`error: ${wrong.join('\nerror: ')}\n(--help lists all options)`, { exitCode: 2 })
    }
    await run(flags)
  })
}

/** Arguments that are not flags of `serve`; the word after an unknown flag counts as its value. */
function wrongArguments(args: readonly string[]): string[] {
  const flags = [...allSettings.map(flagOf), '--help']
  return args.flatMap((argument, i) => {
    if (argument.startsWith('-')) {
      const name = argument.split('=')[0]!
      const meant = closestName(name, flags)
      return [`unknown option ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`]
    }
    const before = args[i - 1]
    return before?.startsWith('-') && !before.includes('=') ? [] : [`unexpected argument ${JSON.stringify(argument)}`]
  })
}

function wrongValues(flags: ConfigurationFlags): string[] {
  try {
    readConfiguration(process.env, flags)
    return []
  } catch (error) {
    return [reasonOf(error)]
  }
}

/** MULTIGATE_MAX_QUEUE_ROWS → --max-queue-rows. */
export function flagOf(key: string): string {
  return `--${key.replace('MULTIGATE_', '').toLowerCase().replaceAll('_', '-')}`
}

function camelCase(key: string): string {
  return flagOf(key)
    .slice(2)
    .replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
