import { createEncoder } from '../../../src/model/serving/features/encoder.ts'
import type { LoadedModel } from '../../../src/model/serving/prediction/loaded-model.ts'
import { tensorsOf } from '../../../src/model/serving/prediction/tensors.ts'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import { exampleManifest } from './manifest.ts'

export interface FakeLoadedModel extends LoadedModel {
  /** How often `close` was called. */
  readonly closes: number
  /** The arguments that `destroy` was called with. */
  readonly destroyed: readonly unknown[]
}

/** A model that answers nothing, but says what was done to it. `closing` is what `close` waits for. */
export function createFakeLoadedModel(
  name: string,
  version: string,
  closing?: Promise<void>,
  manifestless = false,
  changes: Partial<Manifest> = {},
): FakeLoadedModel {
  const manifest = exampleManifest({ name, version, ...changes })
  const encoder = createEncoder(manifest.features)
  const destroyed: unknown[] = []
  let closes = 0
  return {
    manifest,
    encoder,
    tensors: tensorsOf(manifest, encoder.layout, undefined, false),
    manifestless,
    engine: 'fake',
    plan: {
      workers: 1,
      maxBatchRows: 1,
      precision: 'float32',
      tables: 'float32',
      compiled: false,
      compileSeconds: 0,
      split: false,
      notes: [],
      unstored: undefined,
      verdict: undefined,
      passes: [],
      tablesVerdict: undefined,
    },
    limits: { maxRequestRows: 10, maxDelayMs: 0 },
    graphStats: async () => undefined,
    check: () => [],
    predict: () => ({
      rows: 0,
      encodeSeconds: 0,
      engineSeconds: 0,
      table: Promise.reject(new Error('a fake model answers nothing')),
      observed: true,
      cancel: () => undefined,
    }),
    stats: () => ({ queuedRows: 0, inFlightBatches: 0, requests: 0, predictedWaitSeconds: 0 }),
    drift: () => [],
    observed: () => [],
    keptCosts: async () => undefined,
    evaluation: async () => undefined,
    recentRows: () => [],
    async close() {
      closes++
      await closing
    },
    destroy: (error) => destroyed.push(error),
    get closes() {
      return closes
    },
    destroyed,
  }
}
