import { checkRowCount } from '../../../model/serving/features/context.ts'
import type { Layout } from '../../../model/serving/features/layout.ts'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import { closestName } from '../../../schemas/closest-name.ts'
import type { InferInput } from '../../../schemas/infer.ts'
import type { RequestModel } from '../../body/body-format.ts'
import { datatypes } from './infer-datatypes.ts'
import { type InferBody, listed } from './infer-request.ts'
import {
  createTensorReader,
  flat,
  numberType,
  readInputs,
  shapeText,
  type TensorReader,
  wrongOf,
} from './infer-tensors.ts'

/** Properties that candidates have beside features. */
const reserved = ['id', 'bid']

/** Whether requests may name a tensor so, in place of encoded ones. */
const isFeature = ({ byName }: Layout, name: string): boolean => byName.has(name) || reserved.includes(name)

/**
 * The rows of a request: its tensors are the graph's own inputs, encoded; or each is a feature by its name, where the
 * model has a manifest. Throws INVALID_REQUEST.
 */
export function readRows(
  body: InferBody,
  { tensors, encoder: { layout }, manifestless, limits }: RequestModel,
): QueryRows {
  const { inputs } = body.request
  // Before anything is made for each of them.
  for (const { shape } of inputs) checkRowCount(shape[0] ?? 0, { maxRows: limits.maxRequestRows })
  const isInput = (name: string) => tensors.inputs.some((input) => input.name === name)
  // A graph may have an input a field, called as the field is: there a string says that it is a feature.
  const byName = inputs.some(
    ({ name, datatype }) => isFeature(layout, name) && (datatype === 'BYTES' || !isInput(name)),
  )
  if (manifestless || !byName) {
    for (const tensor of inputs)
      if (!isInput(tensor.name) && !manifestless)
        throw wrongOf(tensor)(unknownTensor(tensor.name, tensors.inputs, layout))
    return { form: 'inputs', inputs: readInputs(body, tensors.inputs) }
  }
  for (const tensor of inputs) {
    if (isFeature(layout, tensor.name)) continue
    const mixed = 'is an encoded tensor, and stands beside features by name: one of both is possible'
    throw wrongOf(tensor)(isInput(tensor.name) ? mixed : unknownTensor(tensor.name, tensors.inputs, layout))
  }
  return readFeatures(body)
}

function unknownTensor(wrong: string, inputs: readonly { name: string }[], { slots }: Layout): string {
  const meant = closestName(
    wrong,
    [...inputs, ...slots].map(({ name }) => name),
  )
  const suggestion = meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
  const features = slots.length > 0 ? `, or the features ${listed(slots.map(({ name }) => name))}` : ''
  return `is not known${suggestion}: the model has ${listed(inputs.map(({ name }) => name))}${features}`
}

/** Each tensor a column; those of one value beside longer ones hold for all rows. */
function readFeatures({ request, binary }: InferBody): QueryRows {
  const reader = createTensorReader(binary)
  const all = request.inputs.map((tensor) => ({ tensor, values: readColumn(reader, tensor) }))
  reader.end()
  const rows = Math.max(...all.map(({ values }) => values.length))
  const context: Record<string, unknown> = {}
  const candidates: Record<string, unknown[]> = {}
  for (const { tensor, values } of all) {
    const { name } = tensor
    // A name may be that of a property that objects have of their own, or __proto__.
    if (values.length === rows) Object.defineProperty(candidates, name, property(values))
    else if (values.length === 1 && !reserved.includes(name)) Object.defineProperty(context, name, property(values[0]))
    else throw wrongOf(tensor)(`has ${values.length} values where the request has ${rows} rows`)
  }
  return { form: 'columns', context, candidates }
}

const property = (value: unknown) => ({ value, enumerable: true })

function readColumn(reader: TensorReader, tensor: InferInput): unknown[] {
  const wrong = wrongOf(tensor)
  const { shape } = tensor
  const [rows, side] = shape
  if (rows === undefined || rows === 0 || shape.length > 2 || (shape.length === 2 && side !== 1))
    throw wrong(`must have the shape [rows] or [rows, 1] with at least one row, not ${shapeText(shape)}`)
  const data = () => flat(tensor, rows, { dims: [1], width: 1 }, wrong)
  const datatype = numberType(tensor.datatype)
  if (datatype === undefined && tensor.datatype !== 'BYTES') {
    const names = ['BYTES', ...Object.keys(datatypes)].join(', ')
    throw wrong(`can't have the datatype ${JSON.stringify(tensor.datatype.slice(0, 64))}: it takes ${names}`)
  }
  const values =
    datatype === undefined
      ? reader.strings(tensor, rows, data, wrong)
      : reader.numbers(tensor, datatype, rows, data, wrong)
  if ('message' in values) throw wrong(values.message, `[${values.index}]`)
  return Array.isArray(values) ? values : Array.from(values)
}
