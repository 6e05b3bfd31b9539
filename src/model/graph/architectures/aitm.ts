import * as Type from 'typebox'
import { depth, dropout, embeddingOptions, hiddenOptions, width, widths } from '../../../schemas/architecture.ts'
import type { Architecture, Values } from './architecture.ts'
import { layersNote, taskColumn, towerId } from './diagram.ts'
import { type ClassWeight, mlpWeights, nth, type RowNetwork } from './keras-class.ts'
import { embedInputs, evenWidths, mlp, stack } from './layers.ts'
import type { LayersBuilder, SymbolicTensor } from './layers-builder.ts'

const options = {
  ...embeddingOptions,
  num_hidden_tower: depth('Layers of each task tower, the linear output layer included'),
  dim_hidden_tower: width(64, "Width of a tower's layers, of its output and of the attention"),
  dropout_tower: dropout('the towers'),
  num_hidden_head: depth('Layers of each head, the output layer included'),
  dim_hidden_head: width(64, "Width of a head's hidden layers"),
  dropout_proj_head: dropout('the heads'),
  dims_tower: Type.Optional(
    widths(1, "Widths of a tower's layers, the output's last, in place of num_hidden_tower and dim_hidden_tower"),
  ),
  dims_head: Type.Optional(
    widths(
      0,
      "Widths of a head's hidden layers, in place of num_hidden_head and dim_hidden_head; the output layer of width 1 follows",
    ),
  ),
  form: Type.Optional(
    Type.Union([Type.Literal('reference'), Type.Literal('published')], {
      description:
        "The attention: the reference implementation's, or that of the paper, scaled and of its own per transfer; default: reference",
    }),
  ),
  ...hiddenOptions,
}
type Options = Values<typeof options>

/**
 * AITM: each task receives the previous task's representation through attention.
 *
 * D. Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions, KDD 2021,
 * by default in the form of the reference implementation: one attention block for all transfers, in which each position
 * attends to both, scores not divided by √H, and the two positions summed.
 */
export const aitm: Architecture<typeof options> = {
  name: 'aitm',
  options,
  description: 'AITM: each task receives, by attention, what the task before it learnt',
  title: 'Adaptive information transfer (AITM)',
  about:
    'Tasks are steps of a sequence, such as click and purchase. By attention each takes over what the step before it has learnt.',
  logits(layers, options, inputs, shape) {
    const { activation, normalisation, form } = options
    const flat = embedInputs(layers, inputs, options, shape) // [B, (F + D)·d]
    const towers = shape.tasks.map((task) =>
      mlp(layers, flat, `tower_${task}`, {
        widths: options.dims_tower ?? evenWidths(options.num_hidden_tower, options.dim_hidden_tower),
        dropout: options.dropout_tower,
        activation,
        normalisation,
      }),
    ) // T × [B, H]
    const { num_hidden_head: depth, dim_hidden_head: hidden, dims_head: dims } = options
    let known = towers[0]! // [B, H]
    return shape.tasks.map((task, t) => {
      const own = towers[t]!
      if (t > 0) {
        const transferred = layers.dense(`transfer_${task}`, known, own.dims[0]!) // [B, H]
        known = form === 'published' ? weigh(layers, task, transferred, own) : attend(layers, task, transferred, own)
      }
      return mlp(layers, known, `head_${task}`, {
        widths: dims === undefined ? evenWidths(depth, hidden, 1) : [...dims, 1],
        dropout: options.dropout_proj_head,
        activation,
        normalisation,
      }) // [B, 1]
    })
  },
  diagram: (options, tasks) => {
    const known = (t: number) => (t === 0 ? towerId(tasks[0]!) : `attention ${tasks[t]}`)
    const title = (part: string, task: string) => `${part} of ${task}`
    return [
      {
        title: 'Towers',
        boxes: tasks.map((task) => ({
          id: towerId(task),
          title: title('Tower', task),
          note: layersNote(options, 'tower'),
          reads: ['embedding'],
        })),
      },
      {
        title: 'Attention',
        boxes: tasks.slice(1).map((task, i) => ({
          id: known(i + 1),
          title: `${tasks[i]} → ${task}`,
          note: 'takes over what helps',
          reads: [known(i), towerId(task)],
        })),
      },
      {
        title: 'Heads',
        boxes: tasks.map((task, t) => ({
          id: `head ${task}`,
          title: title('Head', task),
          note: layersNote(options, 'head'),
          reads: [known(t)],
        })),
      },
      taskColumn(tasks, (task) => `head ${task}`),
    ]
  },
  keras: {
    className: 'AITM',
    keras3: false,
    lacks: { dims_tower: undefined, dims_head: undefined, form: 'reference' },
    assumption: 'attention scores that are not scaled',
    matches: ({ transfers }) => transfers,
    encoders: ({ mlps }) => mlps / 2,
    options: ({ first, last }) => ({
      num_hidden_tower: first.depth,
      dim_hidden_tower: first.output,
      dropout_tower: 0,
      num_hidden_head: last.depth,
      dim_hidden_head: last.hidden,
      dropout_proj_head: 0,
    }),
    weights: aitmWeights,
    forward(row, _, tasks) {
      const known = tasks.map((task) => row.mlp(row.flat, `tower_${task}`))
      for (let t = 1; t < tasks.length; t++)
        known[t] = attendRow(row, row.dense(known[t - 1]!, `transfer_${tasks[t]}`), known[t]!)
      return tasks.map((task, t) => row.mlp(known[t]!, `head_${task}`))
    },
  },
}

/** Self-attention over two positions, summed: [B, H], [B, H] → [B, H]. Its three kernels serve every transfer. */
function attend(layers: LayersBuilder, task: string, transferred: SymbolicTensor, own: SymbolicTensor): SymbolicTensor {
  const name = `attend_${task}`
  const pair = stack(layers, `${name}/pair`, [transferred, own]) // [B, 2, H]
  const width = own.dims[0]!
  const project = (part: string) => layers.dense(`attention/${part}`, pair, width, { useBias: false }) // [B, 2, H]
  const [query, key, value] = [project('query'), project('key'), project('value')]
  const scores = layers.dot(`${name}/scores`, query, key, [2, 2]) // [B, 2, 2]
  const weights = layers.activation(`${name}/weights`, scores, 'softmax') // [B, 2, 2]
  const mixed = layers.dot(`${name}/mixed`, weights, value, [2, 1]) // [B, 2, H]
  // No standard layer sums over positions; twice the mean of two is the sum, exactly.
  const mean = layers.globalAveragePooling1D(`${name}/mean`, mixed) // [B, H]
  return layers.add(`${name}/sum`, [mean, mean]) // [B, H]
}

/**
 * The paper's transfer: `Σ_u softmax_u(⟨q(u), k(u)⟩ / √H) v(u)` over the two positions u: [B, H], [B, H] → [B, H]. Its
 * kernels serve this transfer alone.
 */
function weigh(layers: LayersBuilder, task: string, transferred: SymbolicTensor, own: SymbolicTensor): SymbolicTensor {
  const width = own.dims[0]!
  const project = (part: string, x: SymbolicTensor) =>
    layers.dense(`attention_${task}/${part}`, x, width, { useBias: false }) // [B, H]
  const name = `attend_${task}`
  const scores = [transferred, own].map((x, i) =>
    layers.dot(`${name}/score_${i}`, project('query', x), project('key', x), [1, 1]),
  ) // 2 × [B, 1]
  const scaled = layers.rescaling(`${name}/scaled`, layers.concatenate(`${name}/scores`, scores), 1 / Math.sqrt(width))
  const weights = layers.activation(`${name}/weights`, scaled, 'softmax') // [B, 2]
  const values = [transferred, own].map((x) => project('value', x)) // 2 × [B, H]
  return layers.dot(`${name}/sum`, weights, stack(layers, `${name}/values`, values), [1, 1]) // [B, H]
}

/** The reference's transfer of one row, from `transferred` [H] and `own` [H]. */
function attendRow({ dense, softmax }: RowNetwork, transferred: Float64Array, own: Float64Array): Float64Array {
  const pair = [transferred, own]
  const [q, k, v] = ['query', 'key', 'value'].map((part) => pair.map((x) => dense(x, `attention/${part}`)))
  const out = new Float64Array(own.length)
  for (const query of q!) {
    const scores = Float64Array.from(k!, (key) => query.reduce((sum, value, i) => sum + value * key[i]!, 0))
    const shares = softmax(scores)
    v!.forEach((value, position) => {
      for (let i = 0; i < out.length; i++) out[i]! += shares[position]! * value[i]!
    })
  }
  return out
}

function aitmWeights(options: Options, flat: number, tasks: string[]): ClassWeight[] {
  const width = options.dim_hidden_tower
  const tower = { depth: options.num_hidden_tower, hidden: width, output: width }
  const head = { depth: options.num_hidden_head, hidden: options.dim_hidden_head, output: 1 }
  const layer = (name: string, shape: number[], keras2: string) => ({ name, shape, keras2, keras3: undefined })
  const transfers = tasks
    .slice(1)
    .flatMap((task, t) => [
      layer(`transfer_${task}/kernel`, [width, width], `layers/${nth('dense', t)}/vars/0`),
      layer(`transfer_${task}/bias`, [width], `layers/${nth('dense', t)}/vars/1`),
    ])
  const attention = ['query', 'key', 'value'].map((name) =>
    layer(`attention/${name}/kernel`, [width, width], `layers/ait/${name}/vars/0`),
  )
  const mlps = (name: string, input: number, sizes: typeof tower, list: string) =>
    tasks.flatMap((task, t) =>
      mlpWeights(`${name}_${task}`, input, sizes, options, { keras2: `${list}/${nth('mlp', t)}` }),
    )
  return [
    ...mlps('tower', flat, tower, 'towers'),
    ...transfers,
    // One task has nothing to attend to.
    ...(tasks.length > 1 ? attention : []),
    ...mlps('head', width, head, 'proj_heads'),
  ]
}
