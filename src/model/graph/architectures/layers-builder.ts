import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'
import { createUniform, murmur3 } from '../../../base/hash.ts'
import type { ActivationName, GateFunction } from '../../../schemas/architecture.ts'
import { type LayersModel, layersOf, type Weight } from '../lower/layers/layers-model.ts'
import { layersModelFile } from '../lower/layers/write-layers-model.ts'
import {
  batchNormalizationConfig,
  denseConfig,
  embeddingBound,
  embeddingConfig,
  type LayerConfig,
} from './layer-config.ts'

/** The answer of a layer; its values are computed only once the model is lowered or opened. */
export interface SymbolicTensor {
  layer: string
  /** Index of the layer's application. */
  node: number
  dtype: 'float32' | 'int32'
  /** The dimensions after the batch. */
  dims: number[]
}

interface RecordedLayer {
  name: string
  class_name: string
  config: LayerConfig
  /** Per application, its inputs. */
  inbound_nodes: [string, number, number, Record<string, never>][][]
}

interface RecordedWeight {
  name: string
  shape: number[]
  /** Writes the initial values; they are zeros before. */
  fill?: (values: Float32Array) => void
}

/** A layer to apply: its class and its configuration without the name. */
interface Definition {
  className: string
  config?: LayerConfig
  /** By their names in the layer, in Keras' order. */
  weights?: Record<string, Omit<RecordedWeight, 'name'>>
}

/**
 * Records layers of Keras one by one, and makes a layers model of them. It knows only standard layers, so that any
 * TensorFlow.js program opens a saved model, unless it has lists (`custom`).
 *
 * Every layer has a name of its own. Its initial weights follow from that name and `seed` alone, so that one more task
 * or expert does not change those of others. A layer that is applied again shares its weights.
 */
export class LayersBuilder {
  readonly #seed: number
  readonly #layers = new Map<string, RecordedLayer>()
  readonly #weights: RecordedWeight[] = []

  constructor(seed: number) {
    this.#seed = seed
  }

  input(name: string, width: number, dtype: 'float32' | 'int32'): SymbolicTensor {
    const config = { batch_input_shape: [null, width], dtype, sparse: false, name }
    this.#layers.set(name, { name, class_name: 'InputLayer', config, inbound_nodes: [] })
    return { layer: name, node: 0, dtype, dims: [width] }
  }

  /** Ids int32 [B, n] → rows of a table of `ids` rows [B, n, width]. `l2` penalises the table in training. */
  embedding(name: string, x: SymbolicTensor, ids: number, width: number, l2 = 0): SymbolicTensor {
    const seed = this.#seedOf(name)
    const embeddings = { shape: [ids, width], fill: uniform(seed, embeddingBound) }
    const config = embeddingConfig(ids, width, seed, l2)
    return this.#apply(name, { className: 'Embedding', config, weights: { embeddings } }, [x], [...x.dims, width])
  }

  /** [B, …, in] → [B, …, units]; a kernel by Glorot and Bengio, uniform, and a bias of zeros. */
  dense(
    name: string,
    x: SymbolicTensor,
    units: number,
    options: { useBias?: boolean; activation?: ActivationName | GateFunction } = {},
  ): SymbolicTensor {
    const { useBias = true, activation = 'linear' } = options
    const seed = this.#seedOf(name)
    const width = x.dims.at(-1)!
    const kernel = { shape: [width, units], fill: uniform(seed, Math.sqrt(6 / (width + units))) }
    const weights = { kernel, ...(useBias && { bias: { shape: [units] } }) }
    const config = denseConfig(units, activation, useBias, seed)
    return this.#apply(name, { className: 'Dense', config, weights }, [x], x.dims.with(-1, units))
  }

  /** The bias that a dense layer starts with, instead of zeros; of a sum, that of its last part. */
  startBias({ layer }: Pick<SymbolicTensor, 'layer'>, value: number): void {
    const { class_name, inbound_nodes } = this.#layers.get(layer)!
    if (class_name === 'Add') this.startBias({ layer: inbound_nodes[0]!.at(-1)![0] }, value)
    else this.start({ layer }, 'bias', (values) => values.fill(value))
  }

  /** Other initial values of a layer's weight, which are zeros before `fill`. */
  start({ layer }: Pick<SymbolicTensor, 'layer'>, weight: string, fill: (values: Float32Array) => void): void {
    const found = this.#weights.find(({ name }) => name === `${layer}/${weight}`)
    if (found === undefined) throw new Error(`${layer} has no ${weight}`)
    found.fill = fill
  }

  batchNormalization(name: string, x: SymbolicTensor): SymbolicTensor {
    const shape = [x.dims.at(-1)!]
    const ones = (values: Float32Array) => values.fill(1)
    const weights = {
      gamma: { shape, fill: ones },
      beta: { shape },
      moving_mean: { shape },
      moving_variance: { shape, fill: ones },
    }
    return this.#apply(name, { className: 'BatchNormalization', config: batchNormalizationConfig, weights }, [x])
  }

  /** At most `most`. */
  relu(name: string, x: SymbolicTensor, most: number | null = null): SymbolicTensor {
    return this.#apply(name, { className: 'ReLU', config: { max_value: most } }, [x])
  }

  activation(name: string, x: SymbolicTensor, activation: ActivationName | GateFunction): SymbolicTensor {
    return this.#apply(name, { className: 'Activation', config: { activation } }, [x])
  }

  /** Carries no seed: TensorFlow.js would draw the same mask at every step. */
  dropout(name: string, x: SymbolicTensor, rate: number): SymbolicTensor {
    return this.#apply(name, { className: 'Dropout', config: { rate, noise_shape: null, seed: null } }, [x])
  }

  /** [B, a, b, …] → [B, a·b·…] */
  flatten(name: string, x: SymbolicTensor): SymbolicTensor {
    return this.#apply(name, { className: 'Flatten' }, [x], [product(x.dims)])
  }

  /** [B, …] → [B, …dims] */
  reshape(name: string, x: SymbolicTensor, dims: number[]): SymbolicTensor {
    return this.#apply(name, { className: 'Reshape', config: { target_shape: dims } }, [x], dims)
  }

  /** Two parts or more, along the last dimension. */
  concatenate(name: string, parts: SymbolicTensor[]): SymbolicTensor {
    const width = parts.reduce((sum, { dims }) => sum + dims.at(-1)!, 0)
    return this.#apply(name, { className: 'Concatenate', config: { axis: -1 } }, parts, parts[0]!.dims.with(-1, width))
  }

  /**
   * Batch-wise product over dimension `axes[0]` of `x` and `axes[1]` of `y`, which count the batch:
   * [B, …] · [B, …] → [B, …rest of x, …rest of y].
   */
  dot(name: string, x: SymbolicTensor, y: SymbolicTensor, axes: [number, number]): SymbolicTensor {
    const rest = [...x.dims.toSpliced(axes[0] - 1, 1), ...y.dims.toSpliced(axes[1] - 1, 1)]
    // Two vectors leave one number.
    const dims = rest.length > 0 ? rest : [1]
    return this.#apply(name, { className: 'Dot', config: { axes, normalize: false } }, [x, y], dims)
  }

  /** Element by element. */
  add(name: string, parts: SymbolicTensor[]): SymbolicTensor {
    return this.#apply(name, { className: 'Add' }, parts)
  }

  rescaling(name: string, x: SymbolicTensor, scale: number): SymbolicTensor {
    return this.#apply(name, { className: 'Rescaling', config: { scale, offset: 0 } }, [x])
  }

  /** [B, h, w, c] → [B, h, columns, c], from column `left` on. */
  cropping2D(name: string, x: SymbolicTensor, left: number, columns: number): SymbolicTensor {
    const cropping = [
      [0, 0],
      [left, x.dims[1]! - left - columns],
    ]
    const config = { cropping, data_format: 'channels_last' }
    return this.#apply(name, { className: 'Cropping2D', config }, [x], x.dims.with(1, columns))
  }

  /** [B, n, w] → [B, w]: the mean over n. */
  globalAveragePooling1D(name: string, x: SymbolicTensor): SymbolicTensor {
    return this.#apply(name, { className: 'GlobalAveragePooling1D' }, [x], [x.dims[1]!])
  }

  /** A layer of a class that Keras has not, without weights: float32 [B, …dims]. */
  custom(
    name: string,
    definition: Pick<Definition, 'className' | 'config'>,
    inputs: SymbolicTensor[],
    dims: number[],
  ): SymbolicTensor {
    return { ...this.#apply(name, definition, inputs, dims), dtype: 'float32' }
  }

  /** The model of everything recorded, with its initial weights. */
  model(name: string, inputs: SymbolicTensor[], output: SymbolicTensor): LayersModel {
    const end = ({ layer, node }: SymbolicTensor) => [layer, node, 0]
    const config = {
      name,
      layers: [...this.#layers.values()],
      input_layers: inputs.map(end),
      output_layers: [end(output)],
    }
    const topology = {
      class_name: 'Model',
      config,
      keras_version: 'tfjs-layers 4.22.0',
      backend: 'tensor_flow.js',
    }
    return { file: layersModelFile, topology, ...layersOf(layersModelFile, topology), ...this.#initialWeights() }
  }

  #initialWeights(): Pick<LayersModel, 'weights' | 'weightData'> {
    const weightData = new ArrayBuffer(this.#weights.reduce((sum, { shape }) => sum + product(shape) * 4, 0))
    const weights = new Map<string, Weight>()
    let offset = 0
    for (const { name, shape, fill } of this.#weights) {
      const values = new Float32Array(weightData, offset, product(shape))
      fill?.(values)
      weights.set(name, { name, dtype: 'float32', shape, data: new Uint8Array(weightData, offset, values.byteLength) })
      offset += values.byteLength
    }
    return { weights, weightData }
  }

  /** Answers [B, …dims], by default of the first input's dimensions; ids stay ids until they are embedded. */
  #apply(
    name: string,
    { className, config, weights = {} }: Definition,
    inputs: SymbolicTensor[],
    dims: number[] = inputs[0]!.dims,
  ): SymbolicTensor {
    const layer: RecordedLayer = {
      name,
      class_name: className,
      config: { ...config, name, trainable: true },
      inbound_nodes: [],
    }
    const known = this.#layers.get(name)
    if (known === undefined) {
      this.#layers.set(name, layer)
      for (const [weight, { shape, fill }] of Object.entries(weights))
        this.#weights.push({ name: `${name}/${weight}`, shape, ...(fill && { fill }) })
    } else this.#expectSame(known, layer, weights)
    const { inbound_nodes: nodes } = this.#layers.get(name)!
    nodes.push(inputs.map(({ layer, node }) => [layer, node, 0, {}]))
    return {
      layer: name,
      node: nodes.length - 1,
      dtype: className === 'Embedding' ? 'float32' : inputs[0]!.dtype,
      dims,
    }
  }

  /** Applied again, a layer must be the same one. */
  #expectSame(known: RecordedLayer, layer: RecordedLayer, weights: NonNullable<Definition['weights']>): void {
    const shapes = new Map(this.#weights.map(({ name, shape }) => [name, shape.join()]))
    const same =
      known.class_name === layer.class_name &&
      JSON.stringify(known.config) === JSON.stringify(layer.config) &&
      Object.entries(weights).every(([weight, { shape }]) => shapes.get(`${layer.name}/${weight}`) === shape.join())
    if (!same) throw new ModelError('INVALID_BUNDLE', `two layers are named ${layer.name}`)
  }

  /** Never 0, which TensorFlow.js takes as no seed. */
  #seedOf(name: string): number {
    return murmur3(name, this.#seed) || 1
  }
}

/** Fills with numbers uniform over ±`bound`. */
function uniform(seed: number, bound: number): (values: Float32Array) => void {
  return (values) => {
    const next = createUniform(seed)
    for (let i = 0; i < values.length; i++) values[i] = (2 * next() - 1) * bound
  }
}
