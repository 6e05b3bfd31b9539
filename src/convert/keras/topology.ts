import { product } from '../../model/base/dims.ts'
import type { TensorReference } from '../../model/lower/layers/layers-model.ts'
import type { KerasModel } from './graph.ts'
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
  /** Layer of the joined table, where there are ids. */
  table: string | undefined
  /** Layer that answers [B, tasks]. */
  output: string
}

/**
 * A Keras graph as a layers model of two inputs at most: all columns of ids in one matrix, which one joined table is
 * looked up by, all numbers in another. What the model had as an input, or as an embedding's answer, is cut out of these.
 * `ids` rows of the joined table; undefined where each column has ids of its own, and the model keeps its tables.
 */
export function writeTopology(model: KerasModel, columns: ModelInputs, ids: number | undefined): Topology {
  const layers: WrittenLayer[] = []
  const taken = new Set(model.layers.map(({ name }) => name))
  const add = (
    wanted: string,
    className: string,
    config: Record<string, unknown>,
    inputs: (string | { layer: string; node: number })[],
  ): string => {
    let name = wanted
    for (let n = 1; taken.has(name); n++) name = `${wanted}_${n}`
    taken.add(name)
    const inbound = inputs.map((input): [string, number, number, object] =>
      typeof input === 'string' ? [input, 0, 0, {}] : [input.layer, input.node, 0, {}],
    )
    layers.push({
      name,
      class_name: className,
      config: { name, ...config },
      inbound_nodes: inbound.length > 0 ? [inbound] : [],
    })
    return name
  }

  /** `height` rows from `top`, `width` columns from `left`, of a layer's [rows, columns], as `dims`. */
  const cut = (
    source: string | { layer: string; node: number },
    name: string,
    whole: number[],
    part: WeightBlock,
    dims: number[],
  ): string => {
    const [rows, width] = whole as [number, number]
    const all = part.height === rows && part.width === width
    const image = all ? source : add(`${name}/image`, 'Reshape', { target_shape: [rows, width, 1] }, [source])
    const margins = [
      [part.top, rows - part.top - part.height],
      [part.left, width - part.left - part.width],
    ]
    const cropped = all
      ? image
      : add(`${name}/cut`, 'Cropping2D', { cropping: margins, data_format: 'channels_last' }, [image])
    return add(name, 'Reshape', { target_shape: dims }, [cropped])
  }

  // What stands for a reference of the Keras model.
  const instead = new Map<string, { layer: string; node: number }>()
  const keyOf = ({ layer, node }: Pick<TensorReference, 'layer' | 'node'>) => `${node} ${layer}`
  const inputs: Topology['inputs'] = {}
  let table: string | undefined

  if (columns.sparse.length > 0) {
    const count = columnsOf(columns.sparse)
    inputs.sparse = add(
      'import/sparse',
      'InputLayer',
      { batch_input_shape: [null, count], dtype: 'int32', sparse: false },
      [],
    )
    const found: string[] = []
    for (const { name, dims, first, columns: height } of columns.sparse) {
      const same = dims.join() === String(count)
      const part = { top: first, height, left: 0, width: 1 }
      found.push(same ? inputs.sparse : cut(inputs.sparse, `import/${name}`, [count, 1], part, dims))
    }
    if (ids === undefined)
      columns.sparse.forEach(({ name }, i) => {
        instead.set(keyOf({ layer: name, node: 0 }), { layer: found[i]!, node: 0 })
      })
    else table = lookUp(found, ids)
  }
  if (columns.dense.length > 0) {
    const count = columnsOf(columns.dense)
    inputs.dense = add(
      'import/dense',
      'InputLayer',
      { batch_input_shape: [null, count], dtype: 'float32', sparse: false },
      [],
    )
    for (const { name, dims, first, columns: height } of columns.dense) {
      const same = dims.join() === String(count)
      const part = { top: first, height, left: 0, width: 1 }
      const layer = same ? inputs.dense : cut(inputs.dense, `import/${name}`, [count, 1], part, dims)
      instead.set(keyOf({ layer: name, node: 0 }), { layer, node: 0 })
    }
  }

  const written = new Map<string, WrittenLayer>()
  for (const { layer, node, inputs: read } of model.steps) {
    if (layer.operation === undefined || (ids !== undefined && layer.className === 'Embedding')) continue
    const { name, className, config } = layer
    const inbound = read.map((reference): [string, number, number, object] => {
      const { layer, node } = instead.get(keyOf(reference))!
      return [layer, node, 0, {}]
    })
    const known = written.get(name)
    instead.set(keyOf({ layer: name, node }), { layer: name, node: known?.inbound_nodes.length ?? 0 })
    if (known) known.inbound_nodes.push(inbound)
    else {
      const fresh = { name, class_name: className, config, inbound_nodes: [inbound] }
      written.set(name, fresh)
      layers.push(fresh)
    }
  }

  return { layers, inputs, table, output: join() }

  /** One table for all; what an input's columns look up is cut out of its ids, not out of what is found. */
  function lookUp(found: string[], rows: number): string {
    const table = add('import/table', 'Embedding', { input_dim: rows, output_dim: columns.tableWidth }, [])
    layers.at(-1)!.inbound_nodes = found.map((name) => [[name, 0, 0, {}]])
    columns.sparse.forEach(({ name, dims, columns: height, lookups }, input) => {
      for (const { layer, node, at, width } of lookups) {
        const source = { layer: table, node: input }
        const part = { top: 0, height, left: at, width }
        const label = `import/${name}/${layer}${node > 0 ? `/${node}` : ''}`
        const whole = width === columns.tableWidth
        const key = keyOf({ layer, node })
        if (whole) instead.set(key, source)
        else
          instead.set(key, {
            layer: cut(source, label, [height, columns.tableWidth], part, [...dims, width]),
            node: 0,
          })
      }
    })
    return table
  }

  /** Several outputs side by side; one that is applied more than once gets a name of its own too. */
  function join(): string {
    const parts = model.outputs.map((output) => instead.get(keyOf(output))!)
    const [only] = parts
    const applied = written.get(only!.layer)?.inbound_nodes.length
    if (parts.length === 1 && applied === 1) return only!.layer
    const className = parts.length === 1 ? 'Activation' : 'Concatenate'
    const config = parts.length === 1 ? { activation: 'linear' } : { axis: -1 }
    const name = add('import/probabilities', className, config, [])
    layers.at(-1)!.inbound_nodes = [parts.map(({ layer, node }) => [layer, node, 0, {}])]
    return name
  }
}

interface WeightBlock {
  top: number
  height: number
  left: number
  width: number
}

const columnsOf = (inputs: InputColumns[]) => inputs.reduce((sum, { dims }) => sum + product(dims), 0)
