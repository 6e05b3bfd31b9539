import { ModelError } from '../../../base/errors.ts'
import type { ActivationName, Normalisation } from '../../../schemas/architecture.ts'
import type { Side } from '../../../schemas/features.ts'
import type { LayersModel } from '../lower/layers/layers-model.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'
import { type ColumnGroups, embedIds, type InputColumns, inputColumns, projectVectors, runsOf } from './list-inputs.ts'
import { numericBins } from './numeric-bins.ts'
import { embedColumns, type OwnTable } from './own-tables.ts'

/*
 * The parts that all architectures share.
 *
 * In shapes: B rows, F sparse fields, D dense features, d embedding dimension, T tasks.
 */

/** Inputs and outputs of a model. */
export interface ModelShape {
  /** F: columns of the input `sparse`; 0 leaves the input out. */
  sparseFields: number
  /** D: columns of the input `dense`; 0 leaves the input out. */
  denseFields: number
  /** Rows of the embedding table; ids are smaller. */
  ids: number
  /** The side that the value of each column depends on; needed for experts of one side. */
  sides?: { sparse: Side[]; dense: Side[] }
  /** Names of the tasks, in the order of the output's columns. */
  tasks: string[]
  /** Per column of `sparse`, a table of its own, whose ids begin at 0; default: one table for all. */
  tables?: OwnTable[] | undefined
  /** Per column of `dense`, the edges of its bins, ascending; none: the number alone. */
  bins?: (readonly number[] | undefined)[] | undefined
  /** Where columns belong together: lists, vectors and sequences; default: each is a field. Needs `sides`. */
  groups?: ColumnGroups | undefined
  /** Per task, the logit that it starts around: the initial bias of its last layer. Default: 0. */
  startLogits?: number[] | undefined
  /** Same seed, same initial weights. */
  seed: number
}

/** At least one of the two. */
export interface ModelInputs {
  /** Ids, int32 [B, F] */
  sparse: SymbolicTensor | undefined
  /** Values, float32 [B, D] */
  dense: SymbolicTensor | undefined
  /** Per column of `dense`, its bins [B, n]; empty where none has any. */
  bins: readonly (SymbolicTensor | undefined)[]
  /** Single numbers with all bins: [B, D + n + …] */
  numbers: SymbolicTensor | undefined
  /** The columns, where they belong together. */
  columns?: InputColumns | undefined
}

/** Columns of numbers and their bins, in a layer of this name where there are any: [B, D + n + …]. */
export function withBins(
  layers: LayersBuilder,
  name: string,
  columns: readonly SymbolicTensor[],
  bins: ModelInputs['bins'],
): SymbolicTensor {
  const parts = [...columns, ...bins.filter((one) => one !== undefined)]
  return parts.length > 1 ? layers.concatenate(name, parts) : parts[0]!
}

/** Throws INVALID_BUNDLE if there is no field. */
export function inputsOf(layers: LayersBuilder, shape: ModelShape): ModelInputs {
  const { sparseFields, denseFields, bins = [], groups } = shape
  if (sparseFields + denseFields === 0) throw new ModelError('INVALID_BUNDLE', 'a model needs at least one field')
  const sparse = sparseFields > 0 ? layers.input('sparse', sparseFields, 'int32') : undefined
  const dense = denseFields > 0 ? layers.input('dense', denseFields, 'float32') : undefined
  const binned = dense ? numericBins(layers, dense, bins) : []
  if (groups) {
    const columns = inputColumns(layers, { sparse, dense })
    const single = runsOf(groups.numbers).map(({ start, length }) => columns.numbers(start, length))
    const numbers = single.length > 0 ? withBins(layers, 'numbers', single, binned) : undefined
    return { sparse, dense, bins: binned, numbers, columns }
  }
  return { sparse, dense, bins: binned, numbers: dense && withBins(layers, 'numbers', [dense], binned) }
}

/**
 * Embeds each sparse id as a row of a table, and dense features, with their bins, as a learnt direction each, scaled
 * by their values, concatenated: [B, (F + D)·d].
 */
export function embedInputs(
  layers: LayersBuilder,
  { sparse, dense, numbers, columns }: ModelInputs,
  options: { dim_emb: number; embedding_l2: number },
  shape: ModelShape,
  names: EmbeddingNames = sharedEmbedding,
): SymbolicTensor {
  const parts: SymbolicTensor[] = []
  const { groups } = shape
  if (columns && groups) parts.push(...embedIds(layers, columns, options, shape, names))
  else if (sparse !== undefined && shape.tables) parts.push(...embedColumns(layers, names.table, sparse, shape.tables))
  else if (sparse !== undefined) {
    const { dim_emb, embedding_l2 } = options
    const embedded = layers.embedding(names.table, sparse, shape.ids, dim_emb, embedding_l2) // [B, F, d]
    parts.push(layers.flatten(names.flat, embedded)) // [B, F·d]
  }
  if (dense !== undefined && numbers !== undefined) {
    const width = (groups?.numbers.length ?? dense.dims[0]!) * options.dim_emb
    parts.push(layers.dense(names.dense, numbers, width, { useBias: false })) // [B, D·d]
  }
  if (columns && groups) parts.push(...projectVectors(layers, columns, options, groups, names))
  return concatenateColumns(layers, names.features, parts) // [B, (F + D)·d]
}

/** Names of the layers that embed inputs. */
export interface EmbeddingNames {
  /** The table of sparse ids. */
  table: string
  /** Its rows, flat. */
  flat: string
  dense: string
  /** Everything, concatenated. */
  features: string
}

const sharedEmbedding: EmbeddingNames = {
  table: 'embedding',
  flat: 'embedding_flat',
  dense: 'dense_embedding',
  features: 'features',
}

export interface MlpOptions {
  /** Widths of the layers, the output's last. */
  widths: number[]
  /** Whether the last layer is linear, by default, or like those before it. */
  output?: 'linear' | 'hidden' | undefined
  dropout: number
  /** Activation of the hidden layers; default: relu. */
  activation?: ActivationName | undefined
  /** Normalisation of the hidden layers; default: batch. */
  normalisation?: Normalisation | undefined
}

/** Hidden layers, each Dense → BatchNorm → activation → Dropout, then a linear Dense: [B, any] → [B, last width]. */
export function mlp(
  layers: LayersBuilder,
  x: SymbolicTensor,
  name: string,
  { widths, output, dropout, activation = 'relu', normalisation = 'batch' }: MlpOptions,
): SymbolicTensor {
  let out = x
  const hidden = output === 'hidden' ? widths : widths.slice(0, -1)
  for (const [i, width] of hidden.entries()) {
    out = layers.dense(`${name}/dense_${i}`, out, width)
    if (normalisation === 'batch') out = layers.batchNormalization(`${name}/norm_${i}`, out)
    out =
      activation === 'relu'
        ? layers.relu(`${name}/relu_${i}`, out)
        : layers.activation(`${name}/${activation}_${i}`, out, activation)
    if (dropout > 0) out = layers.dropout(`${name}/dropout_${i}`, out, dropout)
  }
  return output === 'hidden' ? out : layers.dense(`${name}/output`, out, widths.at(-1)!)
}

/** Widths of `depth` layers: all of them `hidden` wide but the last. */
export function evenWidths(depth: number, hidden: number, output = hidden): number[] {
  return [...Array<number>(depth - 1).fill(hidden), output]
}

/** Concatenates columns: [B, a], [B, b], … → [B, a + b + …], in a layer of this name even for a single input. */
export function concatenateColumns(layers: LayersBuilder, name: string, parts: SymbolicTensor[]): SymbolicTensor {
  // Concatenate needs at least two inputs.
  return parts.length > 1 ? layers.concatenate(name, parts) : layers.activation(name, parts[0]!, 'linear')
}

/** Stacks vectors of one width: n × [B, w] → [B, n, w]. */
export function stack(layers: LayersBuilder, name: string, parts: SymbolicTensor[]): SymbolicTensor {
  const row = parts.length > 1 ? layers.concatenate(`${name}/row`, parts) : parts[0]! // [B, n·w]
  return layers.reshape(name, row, [parts.length, parts[0]!.dims[0]!]) // [B, n, w]
}

/**
 * The model with these logits, T × [B, 1], and those of a wide part, [B, T]: layers `logits` [B, T] and `probabilities`
 * [B, T], its output.
 */
export function answer(
  layers: LayersBuilder,
  name: string,
  { sparse, dense }: ModelInputs,
  logits: SymbolicTensor[],
  wide?: SymbolicTensor,
): LayersModel {
  const concatenated =
    wide === undefined
      ? concatenateColumns(layers, 'logits', logits) // [B, T]
      : layers.add('logits', [concatenateColumns(layers, 'deep', logits), wide])
  const probabilities = layers.activation('probabilities', concatenated, 'sigmoid') // [B, T]
  const inputs = [sparse, dense].filter((input) => input !== undefined)
  return layers.model(name, inputs, probabilities)
}
