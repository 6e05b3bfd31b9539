import { ModelError } from '../../model/base/errors.ts'
import type { TensorReference } from '../../model/lower/layers/layers-model.ts'
import { isObject } from '../../schemas/json.ts'

/**
 * Reads the inputs or outputs of a model: one reference `[layer, node, tensor]`, or a list or dictionary of them, in order. Throws
 * INVALID_BUNDLE, naming `where`.
 */
export function referencesOf(written: unknown, where: string): TensorReference[] {
  const found = references(written)
  if (found === undefined || found.length === 0)
    throw new ModelError('INVALID_BUNDLE', `${where} must be references to layers`)
  return found
}

/**
 * Reads the inputs of each application of a layer: Keras 2 lists `[layer, node, tensor, arguments]`, Keras 3 has
 * `{args: [tensor or tensors], kwargs}`. Arguments with a value are refused, because none is supported.
 */
export function inboundOf(nodes: unknown[], refuse: (what: string) => ModelError): TensorReference[][] {
  return nodes.map((node) => {
    if (!isObject(node)) {
      const found = references(node)
      if (found === undefined) throw refuse(`reads ${shorten(node)}, which is not the output of a layer`)
      for (const part of flat(node)) refuseArguments(part[3], refuse)
      return found
    }
    const args = Array.isArray(node.args) ? node.args : []
    refuseArguments(node.kwargs, refuse)
    if (args.slice(1).some((arg) => arg !== null)) throw refuse('is called with additional arguments')
    return tensors(args[0], refuse)
  })
}

function tensors(written: unknown, refuse: (what: string) => ModelError): TensorReference[] {
  return (Array.isArray(written) ? written : [written]).map((tensor) => {
    const history = isObject(tensor) && isObject(tensor.config) ? tensor.config.keras_history : undefined
    const [found] = references(history) ?? []
    if (found === undefined) throw refuse(`reads ${shorten(tensor)}, which is not the output of a layer`)
    return found
  })
}

/** Unused arguments, such as `training` and `mask`, are null or false. */
function refuseArguments(written: unknown, refuse: (what: string) => ModelError): void {
  if (written === undefined || written === null) return
  const used = isObject(written) ? Object.entries(written).filter(([, value]) => value !== null && value !== false) : []
  if (!isObject(written) || used.length > 0)
    throw refuse(`is called with ${used.map(([name]) => name).join(', ') || shorten(written)}, which is not supported`)
}

function references(written: unknown): TensorReference[] | undefined {
  const found = flat(written).map(([layer, node, tensor]) =>
    typeof layer === 'string' && isIndex(node) && isIndex(tensor) ? { layer, node, tensor } : undefined,
  )
  return found.every((reference) => reference !== undefined) ? found : undefined
}

/** `[name, 0, 0]` itself, or those in a list or dictionary. */
function flat(written: unknown): unknown[][] {
  if (isObject(written)) return Object.values(written).map((part) => (Array.isArray(part) ? part : []))
  if (!Array.isArray(written)) return [[]]
  return typeof written[0] === 'string' ? [written] : written.map((part) => (Array.isArray(part) ? part : []))
}

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const shorten = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80)
