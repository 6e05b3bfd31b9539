import { onnxruntime, tensorOf } from '../../base/onnxruntime.ts'
import { sessionOptions } from '../../model/engines/onnx/onnx.ts'
import type { Graph } from '../../model/graph/ir/graph.ts'
import { declare, floatShape } from '../../model/graph/ir/tensor-shape.ts'
import { type LayersModel, readLayersModel } from '../../model/graph/lower/layers/layers-model.ts'
import { listClasses } from '../../model/graph/lower/layers/list-classes.ts'
import { lowerToGraph } from '../../model/graph/lower/layers/lower-layers.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { encoderOf } from '../../model/serving/features/encoder.ts'
import type { ColumnGroup, FieldColumn } from '../../model/serving/features/field-column.ts'
import { namedInputs } from '../../model/serving/prediction/bindings.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import { isObject } from '../../schemas/json.ts'
import type { Attention, AttentionRow } from '../../schemas/sequence-use.ts'

/** Golden rows that are shown, and items of each. */
const mostRows = 5
const mostItems = 10

/** Tables beyond this would be copied for a look at a few rows. */
const mostBytes = 2 ** 29

/** Attention in golden rows, by sequence. */
export type AttentionBySequence = Map<string, Attention>

type Row = Record<string, FeatureValue>

/**
 * How much of a version's attention the items of its golden rows' sequences get; empty where it has no layers of
 * attention. Its network is read once more, with the weights as outputs: neither training nor serving computes them.
 */
export async function attentionOf({ folder, manifest }: Bundle): Promise<AttentionBySequence> {
  const found: AttentionBySequence = new Map()
  const { graph, golden, provenance } = manifest
  const sequences = (provenance?.sequences ?? []).filter(({ attention }) => attention !== 'none')
  if (graph.format !== 'layers' || !golden || sequences.length === 0) return found
  const model = await readLayersModel(folder, graph.file)
  if (model.weightData.byteLength > mostBytes) return found
  const { layout, rows: encode } = encoderOf(manifest)
  const { rows } = golden
  const { sparse, dense } = encode(undefined, rows, { maxRows: rows.length, partial: false })
  const inputs = namedInputs(manifest, sparse, dense)
  for (const { name, attention, target } of sequences) {
    const group = layout.groups.find(({ members: [first] }) => sequenceOf(first!) === name)
    const weights = group && (await weightsOf(model, String(name), inputs, rows.length))
    if (weights === undefined) continue
    const targets = Array.isArray(target) ? target.map(String) : []
    const shown = rows.flatMap((row, i) => {
      const one = rowOf(row as Row, i, targets, group!, weights.subarray(i * group!.max, (i + 1) * group!.max))
      return one === undefined ? [] : [one]
    })
    if (shown.length > 0) found.set(String(name), { kind: String(attention), rows: shown.slice(0, mostRows) })
  }
  return found
}

const sequenceOf = ({ encoder: { field } }: FieldColumn) => (field.kind === 'vector' ? undefined : field.sequence)

/** Per row and place, the mean weight over the network's layers and heads that read a sequence: [rows, places]. */
async function weightsOf(
  model: LayersModel,
  sequence: string,
  inputs: Record<string, Int32Array | Float32Array>,
  rows: number,
): Promise<Float32Array | undefined> {
  const classes: string[] = [listClasses.attention, listClasses.sum, listClasses.timeDecay]
  const layers = [...model.layers.values()].filter(
    ({ name, className }) => classes.includes(className) && name.endsWith(`/${sequence}`),
  )
  if (layers.length === 0) return undefined
  const graph = lowerToGraph(
    model,
    layers.map(({ name }) => name),
  )
  const tensors = layers.flatMap(({ name, config }) => {
    const tensor = weightsTensor(graph, name)
    return tensor === undefined
      ? []
      : [declare(tensor, floatShape(-1, ...(Number(config.heads ?? 1) > 1 ? [-1] : []), -1, -1))]
  })
  if (tensors.length === 0) return undefined
  graph.outputs.splice(0, Infinity, ...tensors)
  graph.tidy()
  const session = await onnxruntime.InferenceSession.create(graph.toBytes(), sessionOptions(1))
  try {
    const results = await session.run(
      Object.fromEntries(
        graph.inputs.map(({ name }) => {
          const data = inputs[name]!
          return [name, tensorOf({ data, dims: [rows, data.length / rows] })]
        }),
      ),
    )
    return meanOf(
      tensors.map(({ name }) => results[name]!),
      rows,
    )
  } finally {
    await session.release()
  }
}

/**
 * The weights that a layer's values are multiplied with, [B, 1, L], or [B, h, 1, L] of h heads; of time decay, likeness
 * times the mean of what is left by its half-lives, [B, h, L].
 */
function weightsTensor(graph: Graph, output: string): string | undefined {
  const source = (name: string | undefined) => graph.producer(name ?? '')
  const last = source(output)
  const product = source(last?.input[0])
  if (product?.opType === 'MatMul') return product.input[0]
  // ln(1 + likeness · recency), flat, comes first.
  const alike = source(source(source(product?.input[0])?.input[0])?.input[0])
  if (last?.opType !== 'Concat' || alike?.opType !== 'MatMul') return undefined
  const [likeness, recency] = alike.input as [string, string]
  const left = graph.node('ReduceMean', [recency], { attributes: { axes: [2], keepdims: 0 } })
  const length = graph.node('Unsqueeze', [left, graph.integers([1])])
  return graph.node('Mul', [likeness, length])
}

interface Weights {
  data: unknown
  dims: readonly number[]
}

function meanOf(results: readonly Weights[], rows: number): Float32Array {
  const places = results[0]!.dims.at(-1)!
  const sum = new Float32Array(rows * places)
  let count = 0
  for (const { data, dims } of results) {
    const values = data as Float32Array
    const heads = values.length / (rows * places)
    count += heads
    for (let i = 0; i < values.length; i++) {
      const row = Math.floor(i / (places * heads))
      sum[row * places + (i % dims.at(-1)!)]! += values[i]!
    }
  }
  return sum.map((value) => value / count)
}

/** The items of a golden row, most weighted first; undefined where it has none. */
function rowOf(
  row: Row,
  index: number,
  targets: readonly string[],
  group: ColumnGroup,
  weights: Float32Array,
): AttentionRow | undefined {
  const places = placesOf(row, group)
  if (places.length === 0) return undefined
  const total = places.reduce((sum, _, i) => sum + Math.abs(weights[i]!), 0)
  const items = places.map((place, i) => ({
    values: Object.fromEntries(
      group.members.map((member) => [member.name, listOf(row, member)[place] as string | number]),
    ),
    weight: weights[i]!,
    share: total === 0 ? 0 : Math.abs(weights[i]!) / total,
  }))
  items.sort((a, b) => b.share - a.share)
  return {
    row: index + 1,
    // Targets have one value.
    target: Object.fromEntries(targets.map((name) => [name, (row[name] ?? null) as string | number | null])),
    items: items.slice(0, mostItems),
    more: Math.max(0, items.length - mostItems),
  }
}

/** Where the values stand in a row's lists that the network reads, in their order. */
function placesOf(row: Row, { members, max, keepsLast }: ColumnGroup): number[] {
  const lists = members.map((member) => listOf(row, member))
  const all = Array.from(lists[0]!, (_, place) => place)
  const kept = all.filter((place) => members.every(({ encoder }, m) => encoder.item(lists[m]![place]) !== undefined))
  return keepsLast ? kept.slice(-max) : kept.slice(0, max)
}

function listOf(row: Row, { name, encoder: { field } }: FieldColumn): readonly unknown[] {
  const value = row[name] ?? (field.missing === 'error' ? [] : field.missing.default)
  if (Array.isArray(value)) return value
  return isObject(value) && Array.isArray(value.values) ? value.values : []
}
