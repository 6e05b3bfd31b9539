import type { Clock } from '../../../base/clock.ts'
import type { Contract } from '../prediction/compare-contracts.ts'
import type { RegistryEvent } from './lease.ts'
import type { LoadingOptions } from './loading.ts'
import type { Slots } from './slots.ts'
import type { Source } from './source.ts'

export interface RegistryOptions extends Omit<LoadingOptions, 'describe'> {
  source: Source
  mode: 'latest' | 'all'
  /** Model of requests that name none; where undefined, `preferredModel`, or the only one there is. */
  defaultModel: string | undefined
  /** Default model where none is configured, if it exists. */
  preferredModel?: string
  /**
   * Models that must answer for the registry to be ready; where empty, all that are found at the start are waited for.
   */
  requiredModels: readonly string[]
  /** Models that are not served until they are loaded on demand; default: none. */
  unloaded?: readonly string[]
  /** Most versions that are loaded side by side at the start; default: 1, the limit once the registry is ready. */
  maxLoads?: number
  /** Whether a version may take over that refuses what the one before it accepts; default: it may. */
  incompatible?: 'allow' | 'refuse'
  /** Reads what a version on disk accepts and answers; default: nothing is compared before a version answers. */
  readContract?(name: string, version: string): Promise<Contract>
  /** How long models that vanish from the folder together go on serving, ms; default: not at all. */
  unloadAfterMs?: number
  /** How long a version that has been replaced stays loaded, ms; default: not at all. */
  keepPreviousMs?: number
  /** By which versions take effect, ms since 1970; default: the system's. */
  wallClock?: Pick<Clock, 'now' | 'after'>
  /** The part of an error that clients may be given as the reason for a failure; default: all of it. */
  describe?(error: unknown): string
}

/** Options of the versions of every model. */
export interface ServedModelOptions extends LoadingOptions {
  mode: 'latest' | 'all'
  /** How long a version that has been replaced stays loaded, ms. */
  keepPreviousMs: number
  /** Bounds how many versions of all models are loaded concurrently. */
  slots: Slots
  /** Milliseconds since 1970. */
  wallClock: Pick<Clock, 'now'>
  /** Whether a version may take over that refuses what the one before it accepts. */
  incompatible: 'allow' | 'refuse'
  /** Reads what a version on disk accepts and answers. */
  readContract(name: string, version: string): Promise<Contract>
  /** Nothing more is to be loaded. */
  isClosing(): boolean
  onEvent?: ((event: RegistryEvent) => void) | undefined
}
