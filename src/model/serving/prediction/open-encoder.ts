import { ModelError } from '../../../base/errors.ts'
import type { Bundle } from '../bundle/read.ts'
import { createTensorEncoder, type Encoder, encoderOf } from '../features/encoder.ts'
import type { LoadOptions } from './loaded-model.ts'
import { tensorColumns } from './tensors.ts'

/** Whether requests are answered yet, and whether that which is being encoded is observed. */
export interface Traffic {
  serving: boolean
  observed: boolean
}

export interface OpenEncoder {
  encoder: Encoder
  traffic: Traffic
  /** Lets go of the tables of its entities; idempotent. */
  endGuard: (() => void) | undefined
}

/**
 * The encoder of a version that is being loaded. No version of a table takes over that does not fit it. Rejects with
 * INVALID_BUNDLE where a table is not there, or does not fit.
 */
export async function openEncoder({ manifest, manifestless }: Bundle, options: LoadOptions): Promise<OpenEncoder> {
  // Golden rows are no traffic, nor are requests that say so.
  const traffic: Traffic = { serving: false, observed: true }
  const isCounted = () => traffic.serving && traffic.observed
  if (manifestless) {
    const encoder = createTensorEncoder(tensorColumns(manifestless.signature))
    return { encoder, traffic, endGuard: undefined }
  }
  if (manifest.entities) await options.tables?.refresh()
  const encoder = encoderOf(manifest, {
    onUnknown: (field) => isCounted() && options.onUnknown?.(field, 1),
    onKeys: (entity, found, unknown) => isCounted() && options.onKeys?.(entity, found, unknown, unknown.length),
    onCut: (field, values) => isCounted() && options.onCut?.(field, values),
    tables: options.tables,
  })
  const { entities } = encoder.layout
  const unfit = entities?.problem()
  // A table that fits may come later.
  if (unfit !== undefined)
    throw new ModelError('INVALID_BUNDLE', `${manifest.name}/${manifest.version}${unfit}`, { transient: true })
  return { encoder, traffic, endGuard: entities?.guard() }
}
