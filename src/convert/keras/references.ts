import { ModelError } from '../../model/base/errors.ts'
import type { TensorReference } from '../../model/lower/layers/layers-model.ts'
import { isObject } from '../../schemas/json.ts'

/**
 * Inputs or outputs of a model: one reference `[layer, node, tensor]`, or a list or a dictionary of them, in order.
 * Throws INVALID_BUNDLE, naming `where`.
 */
export function referencesOf(written: unknown, where: string): TensorReference[] {
  const found = references(written)
  if (found === undefined || found.length === 0)
    throw new ModelError('INVALID_BUNDLE', `${where} are no references to layers`)
  return found
}

/**
 * What each application of a layer reads: Keras 2 lists `[layer, node, tensor, arguments]`, Keras 3 has
 * `{args: [tensor or tensors], kwargs}`. Arguments that say something are refused: none is known.
 */
export function inboundOf(nodes: unknown[], refuse: (what: string) => ModelError): TensorReference[][] {
  return nodes.map((node) => {
    if (!isObject(node)) {
      const found = references(node)
      if (found === undefined) throw refuse(`reads what is no output of a layer: ${shorten(node)}`)
      for (const part of flat(node)) refuseArguments(part[3], refuse)
      return found
    }
    const args = Array.isArray(node.args) ? node.args : []
    refuseArguments(node.kwargs, refuse)
    if (args.slice(1).some((arg) => arg !== null)) throw refuse('is called with more than its inputs')
    return tensors(args[0], refuse)
  })
}

function tensors(written: unknown, refuse: (what: string) => ModelError): TensorReference[] {
  return (Array.isArray(written) ? written : [written]).map((tensor) => {
    const history = isObject(tensor) && isObject(tensor.config) ? tensor.config.keras_history : undefined
    const [found] = references(history) ?? []
    if (found === undefined) throw refuse(`reads what is no output of a layer: ${shorten(tensor)}`)
    return found
  })
}

/** `training` and `mask` are null or false where nothing is asked for. */
function refuseArguments(written: unknown, refuse: (what: string) => ModelError): void {
  if (written === undefined || written === null) return
  const said = isObject(written) ? Object.entries(written).filter(([, value]) => value !== null && value !== false) : []
  if (!isObject(written) || said.length > 0)
    throw refuse(`is called with ${said.map(([name]) => name).join(', ') || shorten(written)}, which is not supported`)
}

function references(written: unknown): TensorReference[] | undefined {
  const found = flat(written).map(([layer, node, tensor]) =>
    typeof layer === 'string' && isIndex(node) && isIndex(tensor) ? { layer, node, tensor } : undefined,
  )
  return found.every((reference) => reference !== undefined) ? found : undefined
}

/** `[name, 0, 0]` itself, or those in a list or a dictionary. */
function flat(written: unknown): unknown[][] {
  if (isObject(written)) return Object.values(written).map((part) => (Array.isArray(part) ? part : []))
  if (!Array.isArray(written)) return [[]]
  return typeof written[0] === 'string' ? [written] : written.map((part) => (Array.isArray(part) ? part : []))
}

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const shorten = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80)
