import { product } from '../../../base/arrays.ts'
import type { TensorReference } from '../../../model/graph/lower/layers/layers-model.ts'
import { applicationKey, type KerasModel } from './graph.ts'
import type { InputColumns, ModelInputs } from './inputs.ts'

/** A layer of a TensorFlow.js layers model. */
export interface WrittenLayer {
  name: string
  class_name: string
  config: Record<string, unknown>
  inbound_nodes: [layer: string, node: number, tensor: number, arguments: object][][]
}

export interface Topology {
  layers: WrittenLayer[]
  inputs: { sparse?: string; dense?: string }
  /** Layer of the joined table; undefined without one. */
  table: string | undefined
  /** Layer with the output [B, tasks]. */
  output: string
}

/** One application of a layer. */
type Application = Pick<TensorReference, 'layer' | 'node'>

/** A rectangle of a matrix [rows, columns]. */
interface Rectangle {
  top: number
  height: number
  left: number
  width: number
}

/**
 * Writes a Keras graph as a layers model of at most two inputs: one matrix with all columns of ids, one with all
 * numbers. The model's own inputs and embeddings become slices of these inputs and of one joined table.
 *
 * `ids`: rows of the joined table; undefined where the model keeps its own tables, because each column has ids of its
 * own.
 */
export function writeTopology(model: KerasModel, columns: ModelInputs, ids: number | undefined): Topology {
  const writer = new TopologyWriter(model)
  const inputs: Topology['inputs'] = {}
  let table: string | undefined
  if (columns.sparse.length > 0) {
    const { input, slices } = writer.addInput('import/sparse', 'int32', columns.sparse)
    inputs.sparse = input
    if (ids === undefined) writer.replaceInputs(columns.sparse, slices)
    else table = writer.addTable(slices, columns, ids)
  }
  if (columns.dense.length > 0) {
    const { input, slices } = writer.addInput('import/dense', 'float32', columns.dense)
    inputs.dense = input
    writer.replaceInputs(columns.dense, slices)
  }
  writer.copyLayers(table !== undefined)
  const output = writer.addOutput()
  return { layers: writer.layers, inputs, table, output }
}

class TopologyWriter {
  readonly layers: WrittenLayer[] = []
  readonly #model: KerasModel
  readonly #names: Set<string>
  /** The application that each one in the Keras model became. */
  readonly #replacements = new Map<string, Application>()
  readonly #copied = new Map<string, WrittenLayer>()

  constructor(model: KerasModel) {
    this.#model = model
    this.#names = new Set(model.layers.map(({ name }) => name))
  }

  /** Adds an input with the columns of several inputs side by side, and for each of them a slice in its own shape. */
  addInput(name: string, dtype: 'int32' | 'float32', inputs: InputColumns[]): { input: string; slices: string[] } {
    const count = columnsOf(inputs)
    const input = this.#add(name, 'InputLayer', { batch_input_shape: [null, count], dtype, sparse: false }, [])
    const slices = inputs.map(({ name, dims, first, columns }) => {
      if (dims.join() === String(count)) return input
      const rectangle = { top: first, height: columns, left: 0, width: 1 }
      return this.#slice({ layer: input, node: 0 }, `import/${name}`, [count, 1], rectangle, dims)
    })
    return { input, slices }
  }

  replaceInputs(inputs: InputColumns[], slices: string[]): void {
    inputs.forEach(({ name }, i) => {
      this.#replace({ layer: name, node: 0 }, { layer: slices[i]!, node: 0 })
    })
  }

  /**
   * Adds one table for all embeddings. It is applied once per input: slicing the ids is cheaper than slicing their
   * rows.
   */
  addTable(slices: string[], { sparse, tableWidth }: ModelInputs, rows: number): string {
    const table = this.#add('import/table', 'Embedding', { input_dim: rows, output_dim: tableWidth }, [])
    this.layers.at(-1)!.inbound_nodes = slices.map((name) => [[name, 0, 0, {}]])
    sparse.forEach(({ name, dims, columns: height, lookups }, input) => {
      const source = { layer: table, node: input }
      for (const { layer, node, at, width } of lookups) {
        const label = `import/${name}/${layer}${node > 0 ? `/${node}` : ''}`
        const rectangle = { top: 0, height, left: at, width }
        const replacement =
          width === tableWidth
            ? source
            : { layer: this.#slice(source, label, [height, tableWidth], rectangle, [...dims, width]), node: 0 }
        this.#replace({ layer, node }, replacement)
      }
    })
    return table
  }

  /** Copies every layer that the outputs need; embeddings only where there is no joined table. */
  copyLayers(joinedTable: boolean): void {
    for (const { layer, node, inputs } of this.#model.steps) {
      if (layer.operation === undefined || (joinedTable && layer.className === 'Embedding')) continue
      const { name, className, config } = layer
      const inbound = inputs.map((input) => toInbound(this.#replacementOf(input)))
      const copied = this.#copied.get(name)
      this.#replace({ layer: name, node }, { layer: name, node: copied?.inbound_nodes.length ?? 0 })
      if (copied) copied.inbound_nodes.push(inbound)
      else {
        const written = { name, class_name: className, config, inbound_nodes: [inbound] }
        this.#copied.set(name, written)
        this.layers.push(written)
      }
    }
  }

  /** Concatenates several outputs. One output keeps its layer, unless that layer is applied more than once. */
  addOutput(): string {
    const outputs = this.#model.outputs.map((output) => this.#replacementOf(output))
    const [only] = outputs
    const applications = this.#copied.get(only!.layer)?.inbound_nodes.length
    if (outputs.length === 1 && applications === 1) return only!.layer
    return outputs.length === 1
      ? this.#add('import/probabilities', 'Activation', { activation: 'linear' }, outputs)
      : this.#add('import/probabilities', 'Concatenate', { axis: -1 }, outputs)
  }

  /** Adds a layer under a free name and returns the name. */
  #add(wanted: string, className: string, config: Record<string, unknown>, inputs: Application[]): string {
    let name = wanted
    for (let n = 1; this.#names.has(name); n++) name = `${wanted}_${n}`
    this.#names.add(name)
    const inbound_nodes = inputs.length > 0 ? [inputs.map(toInbound)] : []
    this.layers.push({ name, class_name: className, config: { name, ...config }, inbound_nodes })
    return name
  }

  /** Cuts a rectangle out of a layer's [rows, columns] and reshapes it to `dims`. */
  #slice(
    source: Application,
    name: string,
    [rows, columns]: [number, number],
    { top, height, left, width }: Rectangle,
    dims: number[],
  ): string {
    let cropped = source
    if (height !== rows || width !== columns) {
      const image = this.#add(`${name}/image`, 'Reshape', { target_shape: [rows, columns, 1] }, [source])
      const cropping = [
        [top, rows - top - height],
        [left, columns - left - width],
      ]
      const config = { cropping, data_format: 'channels_last' }
      cropped = { layer: this.#add(`${name}/cut`, 'Cropping2D', config, [{ layer: image, node: 0 }]), node: 0 }
    }
    return this.#add(name, 'Reshape', { target_shape: dims }, [cropped])
  }

  #replace(original: Application, replacement: Application): void {
    this.#replacements.set(applicationKey(original), replacement)
  }

  #replacementOf(original: Application): Application {
    return this.#replacements.get(applicationKey(original))!
  }
}

const toInbound = ({ layer, node }: Application): WrittenLayer['inbound_nodes'][number][number] => [layer, node, 0, {}]

const columnsOf = (inputs: InputColumns[]) => inputs.reduce((sum, { dims }) => sum + product(dims), 0)
