import type { LoadedModel } from '../prediction/contract.ts'
import type { Incompatibility } from './compatibility.ts'

/** Reported by the registry. */
export type RegistryEvent =
  | { type: 'loaded'; name: string; version: string; model: LoadedModel; seconds: number }
  | { type: 'failed'; name: string; version: string; error: unknown }
  | { type: 'unloaded'; name: string; version: string }
  | { type: 'problem'; message: string }
  /** Another version answers requests that name none. */
  | { type: 'switched'; name: string; version: string; from: string }
  /** The version that answers from now on refuses requests that the one before it answered. */
  | { type: 'incompatible'; name: string; version: string; incompatibility: Incompatibility }
  /** Requests can be answered, for the first time. */
  | { type: 'ready' }
