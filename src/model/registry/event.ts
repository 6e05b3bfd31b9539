import type { LoadedModel } from '../prediction/contract.ts'

/** Reported by the registry. */
export type RegistryEvent =
  | { type: 'loaded'; name: string; version: string; model: LoadedModel; seconds: number }
  | { type: 'failed'; name: string; version: string; error: unknown }
  | { type: 'unloaded'; name: string; version: string }
  | { type: 'problem'; message: string }
  /** Another version answers requests that name none. */
  | { type: 'switched'; name: string; version: string; from: string }
  /** Requests can be answered, for the first time. */
  | { type: 'ready' }
