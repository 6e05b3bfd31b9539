import type { ModelShape } from '../../model/architectures/layers.ts'
import type { ArchitectureOptions } from '../../schemas/architecture.ts'

/** One weight of an architecture, and where Keras keeps it in a `.weights.h5` of the reference's class. */
export interface ClassWeight {
  /** `<layer>/<weight>`, as in our own layers models. */
  name: string
  shape: number[]
  keras2: string
  /** undefined where the class does not build on Keras 3. */
  keras3: string | undefined
}

export type ClassShape = Pick<ModelShape, 'sparseFields' | 'denseFields' | 'ids' | 'tasks'>

/** Every weight of an architecture, in the order of its layers. Kernels are [in, out], as in Keras. */
export function classWeights(options: ArchitectureOptions, shape: ClassShape): ClassWeight[] {
  const { sparseFields: F, denseFields: D, ids, tasks } = shape
  const flat = (F + D) * options.dim_emb
  const embedding: ClassWeight[] = []
  const embed = (name: string, shape: number[], path: string) =>
    embedding.push({
      name,
      shape,
      keras2: `layers/multi_input_embedding/${path}`,
      keras3: options.name === 'aitm' ? undefined : `embedding/${path}`,
    })
  if (F > 0) embed('embedding/embeddings', [ids, options.dim_emb], 'sparse_embedding/vars/0')
  if (D > 0) embed('dense_embedding/kernel', [D, D * options.dim_emb], 'dense_embedding/vars/0')
  return [...embedding, ...body(options, flat, tasks)]
}

function body(options: ArchitectureOptions, flat: number, tasks: string[]): ClassWeight[] {
  switch (options.name) {
    case 'shared_bottom': {
      const width = options.dim_hidden_shared
      const shared = { depth: options.num_hidden_shared, hidden: width, output: width }
      return [
        ...mlp('shared', flat, shared, options, { keras2: 'shared_encoder', keras3: 'layers/mlp' }),
        ...towers(options, width, tasks, 1),
      ]
    }
    case 'mixture_of_experts':
      return [
        ...experts(options, flat),
        {
          name: 'gate/kernel',
          shape: [flat, options.num_experts],
          keras2: 'layers/dense/vars/0',
          keras3: 'gate/vars/0',
        },
        ...towers(options, options.dim_hidden_expert, tasks, options.num_experts),
      ]
    case 'multi_gate':
      return [
        ...experts(options, flat),
        ...tasks.map((task, t) => ({
          name: `gate_${task}/kernel`,
          shape: [flat, options.num_experts],
          keras2: `layers/${nth('dense', t)}/vars/0`,
          keras3: `gates/${nth('dense', t)}/vars/0`,
        })),
        ...towers(options, options.dim_hidden_expert, tasks, options.num_experts),
      ]
    case 'aitm':
      return aitm(options, flat, tasks)
  }
}

function aitm(options: Extract<ArchitectureOptions, { name: 'aitm' }>, flat: number, tasks: string[]): ClassWeight[] {
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
  return [
    ...tasks.flatMap((task, t) => mlp(`tower_${task}`, flat, tower, options, { keras2: `towers/${nth('mlp', t)}` })),
    ...transfers,
    // One task has nothing to attend to.
    ...(tasks.length > 1 ? attention : []),
    ...tasks.flatMap((task, t) => mlp(`head_${task}`, width, head, options, { keras2: `proj_heads/${nth('mlp', t)}` })),
  ]
}

function experts(
  options: { num_experts: number; num_hidden_expert: number; dim_hidden_expert: number } & Normalised,
  flat: number,
): ClassWeight[] {
  const width = options.dim_hidden_expert
  const expert = { depth: options.num_hidden_expert, hidden: width, output: width }
  return Array.from({ length: options.num_experts }, (_, e) =>
    mlp(`expert_${e}`, flat, expert, options, {
      keras2: `layers/${nth('mlp', e)}`,
      keras3: `experts/${nth('mlp', e)}`,
    }),
  ).flat()
}

/** `before`: MLPs that Keras 3 counts ahead of the first tower. */
function towers(
  options: { num_hidden_tasks: number; dim_hidden_tasks: number } & Normalised,
  input: number,
  tasks: string[],
  before: number,
): ClassWeight[] {
  const tower = { depth: options.num_hidden_tasks, hidden: options.dim_hidden_tasks, output: 1 }
  return tasks.flatMap((task, t) =>
    mlp(`tower_${task}`, input, tower, options, {
      keras2: `towers/${nth('mlp', t)}`,
      keras3: `layers/${nth('mlp', before + t)}`,
    }),
  )
}

type Normalised = Pick<ArchitectureOptions, 'normalisation'>

function mlp(
  name: string,
  input: number,
  { depth, hidden, output }: { depth: number; hidden: number; output: number },
  { normalisation }: Normalised,
  at: { keras2: string; keras3?: string },
): ClassWeight[] {
  const weight = (ours: string, shape: number[], path: string): ClassWeight => ({
    name: `${name}/${ours}`,
    shape,
    keras2: `${at.keras2}/layers/${path}`,
    keras3: at.keras3 && `${at.keras3}/layers/${path}`,
  })
  return Array.from({ length: depth }, (_, i) => {
    const last = i === depth - 1
    const layer = last ? 'output' : `dense_${i}`
    const width = last ? output : hidden
    const dense = [
      weight(`${layer}/kernel`, [i === 0 ? input : hidden, width], `${nth('dense', i)}/vars/0`),
      weight(`${layer}/bias`, [width], `${nth('dense', i)}/vars/1`),
    ]
    const norm = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((part, k) =>
      weight(`norm_${i}/${part}`, [width], `${nth('batch_normalization', i)}/vars/${k}`),
    )
    return last || normalisation === 'none' ? dense : [...dense, ...norm]
  }).flat()
}

/** Keras numbers what is of one class: `mlp`, `mlp_1`, … */
export const nth = (name: string, index: number) => (index === 0 ? name : `${name}_${index}`)
