import { Command, Option } from 'commander'
import type { TSchema } from 'typebox'
import { Errors } from 'typebox/schema'
import { plainMessage } from '../schemas/check.ts'
import { didYouMean } from '../schemas/closest-name.ts'
import { Configuration } from '../schemas/configuration.ts'
import { reasonOf } from './errors.ts'

/** A setting, by its environment variable. */
export type Key = keyof Configuration

interface SettingSchema extends TSchema {
  type?: string
  anyOf?: { const: string }[]
  default: unknown
  description: string
}

const properties = Configuration.properties as unknown as Record<Key, SettingSchema>
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
 * Reads the configuration from the environment and from flags; a flag wins over its variable, and MULTIGATE_PORT over
 * PORT.
 *
 * Throws an Error that lists every wrong value.
 */
export function readConfiguration(
  env: Readonly<Record<string, string | undefined>>,
  flags: ConfigurationFlags,
): ReadConfiguration {
  const { problems, ...read } = readSettings(env, flags)
  throwProblems(problems)
  return read
}

/** The same with the default in place of each wrong value, which `problems` lists. */
export function readSettings(
  env: Readonly<Record<string, string | undefined>>,
  flags: ConfigurationFlags,
): ReadConfiguration & { problems: string[] } {
  const given = {
    ...(isPort(env.PORT) && { MULTIGATE_PORT: env.PORT }),
    ...Object.fromEntries(allSettings.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]]))),
  }
  const nameOf = (key: Key) => (flags[key] === undefined ? key : `${key} (${flagOf(key)})`)
  const unknown = Object.keys(env).filter((name) => name.startsWith('MULTIGATE_') && !allSettings.includes(name as Key))
  return { ...judge({ ...given, ...flags }, nameOf), unknown }
}

const isPort = (text: string | undefined): boolean => /^\d{1,5}$/.test(text ?? '') && Number(text) <= 65_535

/**
 * That `PORT`, by which hosting platforms say where servers are to listen, has no effect; undefined where it has, or is
 * not set.
 */
export function ignoredPort(
  { PORT }: Readonly<Record<string, string | undefined>>,
  { MULTIGATE_PORT }: Configuration,
): string | undefined {
  if (PORT === undefined || (isPort(PORT) && Number(PORT) === MULTIGATE_PORT)) return undefined
  return `PORT is ${JSON.stringify(PORT)}, which has no effect: MULTIGATE_PORT (--port) is ${MULTIGATE_PORT}`
}

/**
 * A whole configuration of the texts given, with the defaults of the others. Throws an Error that lists every wrong
 * value; `nameOf` says what it calls a setting.
 */
export function checkConfiguration(
  given: Partial<Record<Key, string | undefined>>,
  nameOf: (key: Key) => string = (key) => key,
): Configuration {
  const { configuration, problems } = judge(given, nameOf)
  throwProblems(problems)
  return configuration
}

function throwProblems(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join('; '))
}

function judge(
  given: Partial<Record<Key, string | undefined>>,
  nameOf: (key: Key) => string,
): { configuration: Configuration; problems: string[] } {
  const problems: string[] = []
  const values = allSettings.map((key): [Key, unknown] => {
    const schema = properties[key]
    const text = given[key]
    if (text === undefined) return [key, schema.default]
    const value = words[key]?.[text] ?? readValue(schema, text)
    const [problem] = Errors(schema, value)[1]
    if (problem === undefined) return [key, value]
    const choices = schema.anyOf?.map((choice) => choice.const).join(', ')
    const expected = choices === undefined ? plainMessage(problem) : `must be one of ${choices}`
    problems.push(`${nameOf(key)} ${expected}, not ${JSON.stringify(text)}`)
    return [key, schema.default]
  })
  return { configuration: Object.fromEntries(values) as Configuration, problems }
}

/** Words that stand for a number. */
export const words: Partial<Record<Key, Record<string, number>>> = { MULTIGATE_PROCESSES: { auto: 0 } }

/** The value that a text stands for; the text itself where it stands for none of the setting's type. */
function readValue({ type }: SettingSchema, text: string): unknown {
  if (type === 'boolean') return text === 'true' || (text === 'false' ? false : text)
  if (type !== 'integer' && type !== 'number') return text
  const value = Number(text)
  return text.trim() !== '' && Number.isFinite(value) ? value : text
}

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
      return [`unknown option ${name}${didYouMean(name, flags)}`]
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
