import Type, { type Static } from 'typebox'

/*
 * Options of the built-in architectures: names and defaults are those of the reference implementation
 * (clabrugere/multitask-learning). A model's number of tasks and of embedding rows follow from its manifest.
 */

const width = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 65536, default: value, description })
const depth = (description: string) => Type.Integer({ minimum: 1, maximum: 64, default: 2, description })
const dropout = (of: string) =>
  Type.Number({
    minimum: 0,
    exclusiveMaximum: 1,
    default: 0,
    description: `Dropout after each hidden layer of ${of}, in training`,
  })

const embedding = {
  dim_emb: width(32, 'Embedding dimension d, of every sparse id and of every dense feature'),
  embedding_l2: Type.Number({ minimum: 0, default: 0, description: 'L2 penalty on the embedding table, in training' }),
}
const towers = {
  num_hidden_tasks: depth('Layers of each task tower, the output layer included'),
  dim_hidden_tasks: width(64, "Width of a tower's hidden layers"),
  dropout_tasks: dropout('the towers'),
}
const experts = {
  num_experts: width(1, 'Number of experts E'),
  num_hidden_expert: depth('Layers of each expert, the linear output layer included'),
  dim_hidden_expert: width(64, "Width of an expert's layers and of its output"),
  dropout_expert: dropout('the experts'),
}

export type SharedBottomOptions = Static<typeof SharedBottomOptions>
export const SharedBottomOptions = Type.Object(
  {
    name: Type.Literal('shared_bottom'),
    ...embedding,
    num_hidden_shared: depth('Layers of the shared encoder, the linear output layer included'),
    dim_hidden_shared: width(64, "Width of the shared encoder's layers and of its output"),
    dropout_shared: dropout('the shared encoder'),
    ...towers,
  },
  { additionalProperties: false, description: 'Shared bottom: one encoder, a tower per task' },
)

export type MixtureOfExpertsOptions = Static<typeof MixtureOfExpertsOptions>
export const MixtureOfExpertsOptions = Type.Object(
  { name: Type.Literal('mixture_of_experts'), ...embedding, ...experts, ...towers },
  { additionalProperties: false, description: 'Mixture of experts: one gate mixes the experts for every task' },
)

export type MultiGateOptions = Static<typeof MultiGateOptions>
export const MultiGateOptions = Type.Object(
  { name: Type.Literal('multi_gate'), ...embedding, ...experts, ...towers },
  {
    additionalProperties: false,
    description: 'Multi-gate mixture of experts (MMoE): each task mixes the experts with a gate of its own',
  },
)

export type AitmOptions = Static<typeof AitmOptions>
export const AitmOptions = Type.Object(
  {
    name: Type.Literal('aitm'),
    ...embedding,
    num_hidden_tower: depth('Layers of each task tower, the linear output layer included'),
    dim_hidden_tower: width(64, "Width of a tower's layers, of its output and of the attention"),
    dropout_tower: dropout('the towers'),
    num_hidden_head: depth('Layers of each head, the output layer included'),
    dim_hidden_head: width(64, "Width of a head's hidden layers"),
    dropout_proj_head: dropout('the heads'),
  },
  {
    additionalProperties: false,
    description: 'AITM: each task receives, by attention, what the task before it learnt',
  },
)

/** A built-in architecture and its options. */
export type ArchitectureOptions = Static<typeof ArchitectureOptions>
export const ArchitectureOptions = Type.Union(
  [SharedBottomOptions, MixtureOfExpertsOptions, MultiGateOptions, AitmOptions],
  {
    description: 'A built-in architecture with its options',
  },
)

export type ArchitectureName = ArchitectureOptions['name']
