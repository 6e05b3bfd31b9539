import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import { layersFiles, layersModelFile, type WeightSpec } from '../../../model/graph/lower/layers/write-layers-model.ts'
import { applicationKey, type KerasModel } from './graph.ts'
import { type ImportedModel, joinTables } from './imported-model.ts'
import { denseNames, type InputColumns, type ModelInputs, sparseColumns } from './inputs.ts'
import type { LayerWeights } from './layer-weights.ts'
import type { RowTensor } from './operations.ts'
import { writeTopology } from './topology.ts'

/** Converts a functional or sequential Keras model into a layers model with the same layers. */
export function graphModel(model: KerasModel, columns: ModelInputs, weights: LayerWeights): ImportedModel {
  const sparse = sparseColumns(columns)
  const inputOf = new Map(
    columns.sparse.flatMap((input) =>
      Array.from({ length: input.columns }, (_, i) => [input.first + i, input] as const),
    ),
  )
  return {
    description: `${model.name}, a Keras model of ${model.layers.length} layers`,
    architecture: undefined,
    sparse,
    dense: denseNames(columns),
    tasks: taskNames(model),
    tableWidth: columns.tableWidth,
    assumed: [],
    evaluate: (ids, numbers) => forward(model, weights, columns, ids, numbers),
    async build(ranges, _, ownIds) {
      const total = ranges.reduce((sum, { ids }) => sum + ids, 0)
      const { layers, inputs, table, output } = writeTopology(model, columns, ownIds ? undefined : total)
      const specs: WeightSpec[] = []
      const values: Float32Array[] = []
      if (table !== undefined) {
        const parts = (column: number) =>
          inputOf
            .get(column)!
            .lookups.map(({ layer, width }) => ({ values: weights.get(layer)!.embeddings!.values, width }))
        specs.push({ name: `${table}/embeddings`, shape: [total, columns.tableWidth], dtype: 'float32' })
        values.push(joinTables(ranges, parts, columns.tableWidth))
      }
      for (const { name } of layers)
        for (const [weight, { shape, values: numbers }] of Object.entries(weights.get(name) ?? {})) {
          specs.push({ name: `${name}/${weight}`, shape, dtype: 'float32' })
          values.push(numbers)
        }
      const ends = (names: string[]) => names.map((name) => [name, 0, 0])
      const config = {
        name: model.name,
        layers,
        input_layers: ends(Object.values(inputs)),
        output_layers: ends([output]),
      }
      const modelTopology = {
        class_name: 'Model',
        config,
        keras_version: 'tfjs-layers 4.22.0',
        backend: 'tensor_flow.js',
      }
      return {
        graph: { format: 'layers' as const, file: layersModelFile, inputs, outputs: { probabilities: output } },
        files: layersFiles(modelTopology, specs, values),
      }
    },
  }
}

/** Names of several outputs, if each has a meaningful one; a single output has no names for its columns. */
function taskNames({ outputs, dimsOf, file }: KerasModel): string[] {
  const widths = outputs.map((output) => {
    const dims = dimsOf(output)
    if (dims.length !== 1)
      throw new ModelError(
        'UNSUPPORTED_GRAPH',
        `${file}: its output ${output.layer} has the shape [${dims}], not one number per task`,
      )
    return dims[0]!
  })
  const names = outputs.map(({ layer }) => layer)
  const meaningful = names.every((name, i) => widths[i] === 1 && !/^(?:activation|dense|softmax)(?:_\d+)?$/.test(name))
  if (names.length > 1 && meaningful && new Set(names).size === names.length) return names
  return Array.from({ length: widths.reduce((sum, width) => sum + width, 0) }, (_, t) => `task_${t}`)
}

/** Computes one row with the Keras graph itself, layer by layer, in float64. */
function forward(
  model: KerasModel,
  weights: LayerWeights,
  { sparse, dense }: { sparse: InputColumns[]; dense: InputColumns[] },
  ids: ArrayLike<number>,
  numbers: Float64Array,
): Float64Array {
  const given = new Map<string, Float64Array>()
  const part = (values: ArrayLike<number>, { first, columns }: InputColumns) =>
    Float64Array.from({ length: columns }, (_, i) => values[first + i]!)
  for (const input of sparse) given.set(input.name, part(ids, input))
  for (const input of dense) given.set(input.name, part(numbers, input))
  const known = new Map<string, RowTensor>()
  for (const { layer, node, inputs, dims } of model.steps) {
    const read = inputs.map((input) => known.get(applicationKey(input))!)
    const own = Object.fromEntries(
      Object.entries(weights.get(layer.name) ?? {}).map(([name, { values }]) => [name, values]),
    )
    const values = layer.operation?.run(read, layer.config, own, dims) ?? given.get(layer.name)!
    known.set(`${node} ${layer.name}`, { dims, values })
  }
  const answers = model.outputs.map((output) => known.get(applicationKey(output))!)
  const joined = new Float64Array(answers.reduce((sum, { dims }) => sum + product(dims), 0))
  let offset = 0
  for (const { values } of answers) {
    joined.set(values, offset)
    offset += values.length
  }
  return joined
}
