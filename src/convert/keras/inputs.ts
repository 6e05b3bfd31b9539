import { product } from '../../model/base/dims.ts'
import { type KerasModel, type Step, unsupported } from './graph.ts'
import type { SparseColumn } from './imported-model.ts'

/** An input that tables are looked up by, or one of numbers. */
export interface InputColumns {
  name: string
  dims: number[]
  /** First of its columns, among those of its kind. */
  first: number
  columns: number
  /** Look-ups of this input: which layer, and where its floats stand in a row of the joined table. */
  lookups: { layer: string; node: number; rows: number; width: number; at: number }[]
}

export interface ModelInputs {
  sparse: InputColumns[]
  dense: InputColumns[]
  /** Floats of a row of the joined table: of the input that has the most. */
  tableWidth: number
}

/** A manifest's bound. */
const mostColumns = 4096

/**
 * What each input of a model is for: one that embeddings read holds ids, every other one numbers, whatever its dtype.
 * Throws UNSUPPORTED_GRAPH, naming the layer, for ids that are computed, or used as numbers too.
 */
export function inputsOf(model: KerasModel): ModelInputs {
  const embeddings = model.steps.filter(({ layer }) => layer.className === 'Embedding')
  const sparse: InputColumns[] = []
  const dense: InputColumns[] = []
  for (const { inputDims, ...layer } of model.inputs) {
    const { name } = layer
    if (product(inputDims!) > mostColumns)
      throw unsupported(
        layer,
        model.file,
        `has ${product(inputDims!)} columns, more than the ${mostColumns} fields of a model`,
      )
    const readers = model.steps.filter(({ inputs }) => inputs.some(({ layer }) => layer === name))
    const lookups = readers.filter((step) => embeddings.includes(step))
    const other = readers.find((step) => !embeddings.includes(step))
    if (lookups.length > 0 && other)
      throw unsupported(other.layer, model.file, `reads ${name} as numbers, which embeddings read as ids`)
    const inputs = lookups.length > 0 ? sparse : dense
    const previous = inputs.at(-1)
    inputs.push({
      name,
      dims: inputDims!,
      first: previous === undefined ? 0 : previous.first + previous.columns,
      columns: product(inputDims!),
      lookups: sideBySide(lookups),
    })
  }
  const known = new Set(sparse.flatMap(({ lookups }) => lookups.map(({ layer, node }) => `${node} ${layer}`)))
  const computed = embeddings.find(({ layer, node }) => !known.has(`${node} ${layer.name}`))
  if (computed) throw unsupported(computed.layer, model.file, 'looks up what is computed, not an input')
  return { sparse, dense, tableWidth: Math.max(0, ...sparse.map(({ lookups }) => widthOf(lookups))) }
}

/** Columns of ids: all columns of one input share its table. */
export function sparseColumns({ sparse }: ModelInputs): SparseColumn[] {
  return sparse.flatMap(({ name, columns, lookups }, table) =>
    columnNames(name, columns, 'sparse', sparse.length).map((name) => ({
      name,
      rows: Math.min(...lookups.map(({ rows }) => rows)),
      table,
    })),
  )
}

export function denseNames({ dense }: ModelInputs): string[] {
  return dense.flatMap(({ name, columns }) => columnNames(name, columns, 'dense', dense.length))
}

/** An input's own name, numbered where it has several columns; names that Keras made up say nothing. */
function columnNames(input: string, columns: number, otherwise: string, inputs: number): string[] {
  const madeUp = /^(?:input(?:_layer)?|keras_tensor|args)(?:_\d+)*$/.test(input)
  const name = madeUp && inputs === 1 ? otherwise : input
  return columns === 1 && !madeUp ? [name] : Array.from({ length: columns }, (_, i) => `${name}_${i}`)
}

function sideBySide(steps: Step[]): InputColumns['lookups'] {
  let at = 0
  return steps.map(({ layer, node }) => {
    const lookup = {
      layer: layer.name,
      node,
      rows: layer.config.input_dim as number,
      width: layer.config.output_dim as number,
      at,
    }
    at += lookup.width
    return lookup
  })
}

const widthOf = (lookups: InputColumns['lookups']) => lookups.reduce((sum, { width }) => sum + width, 0)
