import type { SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { AitmOptions } from '../../schemas/architecture.ts'
import type { Architecture } from './architecture.ts'
import { type ClassWeight, mlpWeights, nth, type RowNetwork } from './keras-class.ts'
import type { LayerKit } from './kit.ts'

/**
 * AITM: each task receives the previous task's representation through attention.
 *
 * D. Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions, KDD 2021, in the form of the
 * reference implementation: one attention block for all transfers, scores not divided by √H, and the two positions summed.
 */
export const aitm: Architecture<AitmOptions> = {
  logits(kit, options, flat, { tasks, seed }) {
    const { activation, normalisation } = options
    const towers = tasks.map((task) =>
      kit.mlp(flat, `tower_${task}`, seed, {
        depth: options.num_hidden_tower,
        hidden: options.dim_hidden_tower,
        output: options.dim_hidden_tower,
        dropout: options.dropout_tower,
        activation,
        normalisation,
      }),
    ) // T × [B, H]
    const attend = attention(kit, options.dim_hidden_tower, seed)
    let known = towers[0]! // [B, H]
    return tasks.map((task, t) => {
      if (t > 0) {
        const transfer = kit.dense(`transfer_${task}`, options.dim_hidden_tower, seed)
        const transferred = transfer.apply(known) as SymbolicTensor // [B, H]
        known = attend(`attend_${task}`, transferred, towers[t]!) // [B, H]
      }
      return kit.mlp(known, `head_${task}`, seed, {
        depth: options.num_hidden_head,
        hidden: options.dim_hidden_head,
        output: 1,
        dropout: options.dropout_proj_head,
        activation,
        normalisation,
      }) // [B, 1]
    })
  },
  keras: {
    className: 'AITM',
    keras3: false,
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
function attention({ layers, dense, stack }: LayerKit, width: number, seed: number) {
  const project = (name: string) => dense(`attention/${name}`, width, seed, { useBias: false })
  const [query, key, value] = [project('query'), project('key'), project('value')]

  return (name: string, transferred: SymbolicTensor, own: SymbolicTensor): SymbolicTensor => {
    const pair = stack(`${name}/pair`, [transferred, own]) // [B, 2, H]
    const q = query.apply(pair) as SymbolicTensor // [B, 2, H]
    const k = key.apply(pair) as SymbolicTensor // [B, 2, H]
    const v = value.apply(pair) as SymbolicTensor // [B, 2, H]
    const scores = layers.dot({ name: `${name}/scores`, axes: [2, 2] }).apply([q, k]) as SymbolicTensor // [B, 2, 2]
    const softmax = layers.activation({ name: `${name}/weights`, activation: 'softmax' })
    const weights = softmax.apply(scores) as SymbolicTensor // [B, 2, 2]
    const mixed = layers.dot({ name: `${name}/mixed`, axes: [2, 1] }).apply([weights, v]) as SymbolicTensor // [B, 2, H]
    // No standard layer sums over positions; twice the mean of two is the sum, exactly.
    const mean = layers.globalAveragePooling1d({ name: `${name}/mean` }).apply(mixed) as SymbolicTensor // [B, H]
    return layers.add({ name: `${name}/sum` }).apply([mean, mean]) as SymbolicTensor // [B, H]
  }
}

/** The same of one row, from `transferred` [H] and `own` [H]. */
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

function aitmWeights(options: AitmOptions, flat: number, tasks: string[]): ClassWeight[] {
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
