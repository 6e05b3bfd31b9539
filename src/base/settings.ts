import { join, resolve } from 'node:path'
import type { Configuration } from '../schemas/configuration.ts'
import { checkConfiguration } from './configuration.ts'
import { memoryLimit } from './process.ts'
import { userCache } from './user-folders.ts'

/*
 * The configuration as programs give it that hold multigate in their own process: `maxQueueRows`, or by the variable's
 * name, MULTIGATE_MAX_QUEUE_ROWS. The environment is not looked at.
 */

/** A setting, by its environment variable. */
type Key = keyof Configuration

/** Settings for loading and querying a model, on the server and in the library. */
export const modelSettings = [
  'MULTIGATE_ENGINE',
  'MULTIGATE_CACHE',
  'MULTIGATE_CACHE_BYTES',
  'MULTIGATE_CANDIDATE_CACHE_BYTES',
  'MULTIGATE_WORKERS',
  'MULTIGATE_MAX_BATCH_ROWS',
  'MULTIGATE_MAX_DELAY_MS',
  'MULTIGATE_MAX_QUEUE_ROWS',
  'MULTIGATE_MAX_REQUEST_ROWS',
  'MULTIGATE_MAX_LIST_VALUES',
  'MULTIGATE_DEADLINE_MS',
] as const satisfies Key[]

/**
 * The settings of a whole service that are a surrounding application's own: where it listens, what it logs, when it
 * starts and stops.
 */
export const hostSettings = [
  'MULTIGATE_HOST',
  'MULTIGATE_PORT',
  'MULTIGATE_PROCESSES',
  'MULTIGATE_ONEDNN',
  'MULTIGATE_MAX_CONNECTIONS',
  'MULTIGATE_ADMIN_PORT',
  'MULTIGATE_ADMIN_HOST',
  'MULTIGATE_KEYS',
  'MULTIGATE_OPEN',
  'MULTIGATE_TLS_CERT',
  'MULTIGATE_TLS_KEY',
  'MULTIGATE_TLS_CLIENT_CA',
  'MULTIGATE_CORS_ORIGINS',
  'MULTIGATE_WARM_UP_MS',
  'MULTIGATE_DRAIN_DELAY_MS',
  'MULTIGATE_LOG_LEVEL',
  'MULTIGATE_LOG_FORMAT',
  'MULTIGATE_LOG_REQUESTS',
  'MULTIGATE_LOG_SAMPLE',
  'MULTIGATE_SLOW_REQUESTS',
  'MULTIGATE_RECENT_REQUESTS',
  'MULTIGATE_SLOW_BODIES',
  'MULTIGATE_PREDICTION_LOG',
  'MULTIGATE_PREDICTION_LOG_SAMPLE',
  'MULTIGATE_PREDICTION_LOG_FAILED',
  'MULTIGATE_PREDICTION_LOG_SLOW',
  'MULTIGATE_PREDICTION_LOG_SLOW_MS',
  'MULTIGATE_PREDICTION_LOG_BUFFER_BYTES',
  'MULTIGATE_PREDICTION_LOG_FILE_BYTES',
  'MULTIGATE_PREDICTION_LOG_FILE_SECONDS',
  'MULTIGATE_PREDICTION_LOG_FORMAT',
  'MULTIGATE_PREDICTION_LOG_MAX_BYTES',
  'MULTIGATE_PREDICTION_LOG_MAX_DAYS',
  'MULTIGATE_LOG_SECRET',
  'MULTIGATE_TRACES',
  'MULTIGATE_TRACES_ENDPOINT',
  'MULTIGATE_TRACES_SAMPLE',
] as const satisfies Key[]

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : S
type SettingName<K extends Key> = K extends `MULTIGATE_${infer Name}` ? CamelCase<Lowercase<Name>> : never
/** Lists are given as such, or as text with commas. */
type SettingValue<K extends Key> =
  | Configuration[K]
  | (K extends 'MULTIGATE_REQUIRED_MODELS' ? readonly string[] : never)

/**
 * Settings by their names in camelCase, or by their variables; all are optional, with the defaults of the variables.
 */
export type Settings<K extends Key> = { [P in K as SettingName<P>]?: SettingValue<P> | undefined } & {
  [P in K]?: SettingValue<P> | string | undefined
}

/**
 * A whole configuration of the settings given; `allowed` are those that make sense where they are given.
 *
 * Throws an Error that lists every wrong value, or names the setting that is none.
 */
export function readSettings(settings: object, allowed: readonly Key[]): Configuration {
  const names = new Map(allowed.flatMap((key) => [[key, key] as const, [settingName(key), key] as const]))
  const given: Partial<Record<Key, string>> = {}
  const givenAs = new Map<string, string>()
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue
    const key = names.get(name)
    if (key === undefined)
      throw new Error(`${name} is no setting here; there are ${allowed.map(settingName).join(', ')}`)
    if (given[key] !== undefined) throw new Error(`${name} is given twice, as ${givenAs.get(key)} too`)
    if (!isSimple(value)) throw new Error(`${name} must be text, a number or a boolean, not ${JSON.stringify(value)}`)
    given[key] = String(value)
    givenAs.set(key, name)
  }
  return checkConfiguration(given, (key) => givenAs.get(key) ?? key)
}

/** MULTIGATE_MAX_QUEUE_ROWS → maxQueueRows. */
export function settingName(key: Key): string {
  return key
    .replace('MULTIGATE_', '')
    .toLowerCase()
    .replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** Text with commas is made of a list of texts by `String`. */
function isSimple(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string')
  return ['string', 'number', 'boolean'].includes(typeof value)
}

/** Where compiled plans are kept, of the setting `MULTIGATE_CACHE`; undefined: nowhere. */
export function cacheFolder(configured: string, cache = userCache): string | undefined {
  if (configured === 'off') return undefined
  if (configured !== '') return resolve(configured)
  const folder = cache()
  return folder && join(folder, 'multigate', 'plans')
}

/**
 * Share of the memory limit that clients may hold: the rest is for models, their workers, and garbage that is not yet
 * collected.
 */
const share = 1 / 8

/** Bounds of what follows from the memory limit, bytes. */
const least = 16 * 2 ** 20
const most = 256 * 2 ** 20

/**
 * Bytes that clients may make a service hold: as configured, or by the container's memory limit, else the machine's
 * memory.
 */
export function pendingBytesOf(
  { MULTIGATE_MAX_PENDING_BYTES: configured }: Pick<Configuration, 'MULTIGATE_MAX_PENDING_BYTES'>,
  memory: number = memoryLimit(),
): number {
  return configured || Math.max(least, Math.min(most, Math.floor(memory * share)))
}

/** The items of a setting with commas, without the spaces around them; none where it is empty. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}
