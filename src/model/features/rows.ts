import { isObject, pointer } from '../../schemas/json.ts'
import {
  bidProblem,
  bidRequired,
  checkRowCount,
  type EncodedContext,
  encodeContext,
  givenTwice,
  idProblem,
  keepGoodRows,
  noBids,
  repeatContext,
  unknownField,
} from './context.ts'
import { describe, requiredMessage } from './field.ts'
import type { EncodedRequest, EncodeOptions, Layout } from './layout.ts'
import { Problems } from './problems.ts'

/** The first form of a request: named features, one object a candidate. */
export function encodeRows(
  layout: Layout,
  context: unknown,
  candidates: unknown,
  options: EncodeOptions,
): EncodedRequest {
  const problems = new Problems()
  const shared = encodeContext(layout, context, problems)
  if (candidates === undefined) return contextAlone(layout, context, shared, problems, options)
  if (!Array.isArray(candidates) || candidates.length === 0) {
    problems.add(
      '/candidates',
      Array.isArray(candidates) ? 'must hold at least one candidate' : `must be an array, not ${describe(candidates)}`,
    )
    problems.throwIfAny()
    throw new Error('unreachable')
  }
  checkRowCount(candidates.length, options)
  if (options.partial) problems.throwIfAny()

  const rows = candidates.length
  const encoded: EncodedRequest = {
    requested: rows,
    problems: problems.list,
    ...repeatContext(layout, shared, rows, options),
  }
  const bad = new Uint8Array(rows)
  for (let row = 0; row < rows; row++) {
    const before = problems.list.length
    const good = encodeRow(layout, shared, candidates[row], row, encoded, problems, options.bids === true)
    if (!good) bad[row] = 1
    if (problems.full && problems.list.length > before && !options.partial) break
  }
  if (problems.list.length === 0) return encoded
  if (!options.partial) problems.throwIfAny()
  return keepGoodRows(encoded, bad, { sparse: layout.sparse.length, dense: layout.dense.length })
}

function contextAlone(
  layout: Layout,
  context: unknown,
  shared: EncodedContext,
  problems: Problems,
  options: EncodeOptions,
): EncodedRequest {
  if (context === undefined) problems.add('', 'must have candidates, a context, or tensors (sparse, dense)')
  else for (const slot of shared.required) problems.add(`/context${pointer(slot.name)}`, requiredMessage)
  if (options.bids) problems.add('/options/rank/by', noBids)
  problems.throwIfAny()
  return { requested: 1, problems: [], ...repeatContext(layout, shared, 1, options) }
}

/** Writes one candidate into its row; false if anything about it is wrong. */
function encodeRow(
  layout: Layout,
  shared: EncodedContext,
  candidate: unknown,
  row: number,
  encoded: EncodedRequest,
  problems: Problems,
  needsBid: boolean,
): boolean {
  if (!isObject(candidate)) {
    problems.add(`/candidates/${row}`, `must be an object, not ${describe(candidate)}`)
    return false
  }
  let good = true
  const wrong = (name: string, message: string) => {
    problems.add(`/candidates/${row}${pointer(name)}`, message)
    good = false
  }
  let requiredSeen = 0
  for (const name in candidate) {
    const value = candidate[name]
    const slot = layout.byName.get(name)
    if (slot === undefined) {
      const message = reserved(name, value, row, encoded)
      if (message !== undefined) wrong(name, message)
      continue
    }
    if (shared.given.has(slot)) {
      wrong(name, givenTwice)
      continue
    }
    const code = slot.encoder.encode(value)
    if (typeof slot.encoder.missing === 'string') requiredSeen++
    if (typeof code === 'string') wrong(name, code)
    else if (slot.sparse) encoded.sparse[row * layout.sparse.length + slot.column] = code
    else encoded.dense[row * layout.dense.length + slot.column] = code
  }
  if (requiredSeen < shared.required.length) {
    for (const slot of shared.required) if (!Object.hasOwn(candidate, slot.name)) wrong(slot.name, requiredMessage)
  }
  if (needsBid && !Object.hasOwn(candidate, 'bid')) wrong('bid', bidRequired)
  return good
}

/** Takes a candidate's `id` or `bid`; a message if it is wrong, or no field at all. */
function reserved(name: string, value: unknown, row: number, encoded: EncodedRequest): string | undefined {
  if (name === 'id') {
    const message = idProblem(value)
    if (message !== undefined) return message
    encoded.ids ??= new Array(encoded.requested)
    encoded.ids[row] = value as string
    return undefined
  }
  if (name === 'bid') {
    const message = bidProblem(value)
    if (message !== undefined) return message
    encoded.bids ??= new Array(encoded.requested)
    encoded.bids[row] = value as number
    return undefined
  }
  return unknownField(name, '/candidates')
}
