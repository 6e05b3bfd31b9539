import type { PredictRequest } from '../../../schemas/predict.ts'
import { drawRow } from '../features/draw.ts'
import { givenColumns } from '../features/layout.ts'
import type { LoadedModel } from './loaded-model.ts'

/** Rows of the requests. */
const sizes = [1, 20, 100]

/** Different requests of a size and form: rows are new at first, and known later. */
const requestsOfAKind = 4

/**
 * Requests such as the model's clients may send, of several sizes and in each form that it takes; rows are drawn at
 * random.
 */
export function sampleRequests(model: LoadedModel): PredictRequest[] {
  const { manifest, manifestless, limits } = model
  return sizes.flatMap((size) => {
    const rows = Math.min(size, limits.maxRequestRows)
    const requests = Array.from({ length: requestsOfAKind }, () =>
      manifestless ? [plain(model, rows)] : draw(model, rows),
    )
    return requests.flat().map((request) => ({ model: manifest.name, ...request }))
  })
}

function draw({ manifest: { features }, encoder }: LoadedModel, rows: number): PredictRequest[] {
  const own = features.filter(({ side }) => side !== 'context')
  const context = drawRow(features, Math.random, ({ side }) => side === 'context')
  const candidates = Array.from({ length: rows }, () =>
    drawRow(features, Math.random, ({ side }) => side !== 'context'),
  )
  const columns = Object.fromEntries(own.map(({ name }) => [name, candidates.map((candidate) => candidate[name]!)]))
  const { sparse, dense } = encoder.rows(context, candidates, { maxRows: rows, partial: false })
  // Requests give no crossed fields.
  const given = givenColumns(encoder.layout).length
  const [ids, numbers] = [matrix(rows, sparse, given), matrix(rows, dense)]
  const tensors = given === 0 ? { dense: numbers } : { sparse: ids, ...(dense.length > 0 && { dense: numbers }) }
  // Without a feature of their own, candidates have no columns.
  return [{ context, candidates }, ...(own.length > 0 ? [{ context, candidates: columns }] : []), tensors]
}

/** The meaning of the numbers of a graph without a manifest isn't known; 0 is one of them. */
function plain({ tensors }: LoadedModel, rows: number): PredictRequest {
  return { inputs: Object.fromEntries(tensors.inputs.map(({ name, dims }) => [name, zeros([rows, ...dims])])) }
}

function zeros([length = 0, ...rest]: number[]): unknown[] {
  return Array.from({ length }, () => (rest.length === 0 ? 0 : zeros(rest)))
}

/** The first `columns` of each row. */
function matrix(rows: number, values: Int32Array | Float32Array, columns = values.length / rows): number[][] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * width, row * width + columns)])
}
