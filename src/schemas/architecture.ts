import Type, { type Static } from 'typebox'
import { isObject } from './json.ts'

/*
 * Options of the built-in architectures: names and defaults are those of the reference implementation
 * (clabrugere/multitask-learning). A model's number of tasks and of embedding rows follow from its manifest.
 */

/** An activation that every engine and the compiler know. */
export type ActivationName = Static<typeof ActivationName>
const ActivationName = Type.Union([
  Type.Literal('linear'),
  Type.Literal('relu'),
  Type.Literal('sigmoid'),
  Type.Literal('tanh'),
])

/** The function of a gate's scores that gives its weights. */
export type GateFunction = Static<typeof GateFunction>
const GateFunction = Type.Union([Type.Literal('softmax'), ...ActivationName.anyOf])

export type Normalisation = Static<typeof Normalisation>
const Normalisation = Type.Union([Type.Literal('batch'), Type.Literal('none')])

const width = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 65536, default: value, description })
/** Widths of layers, one by one; `fewest` is 0 where the output's width is fixed and follows. */
const widths = (fewest: 0 | 1, description: string) =>
  Type.Array(Type.Integer({ minimum: 1, maximum: 65536 }), { minItems: fewest, maxItems: 64, description })
const outputForm = (of: string) =>
  Type.Optional(
    Type.Union([Type.Literal('linear'), Type.Literal('hidden')], {
      description: `The last layer of ${of}: linear, or a hidden layer like those before it; default: linear`,
    }),
  )
const optionalCount = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 65536, description }))
const depth = (description: string) => Type.Integer({ minimum: 1, maximum: 64, default: 2, description })
const dropout = (of: string) =>
  Type.Number({
    minimum: 0,
    exclusiveMaximum: 1,
    default: 0,
    description: `Dropout after each hidden layer of ${of}, in training`,
  })

/** Properties that the reference fixes and its variants change; without them an architecture is the reference's. */
const hidden = {
  activation: Type.Optional(
    Type.Union(ActivationName.anyOf, { description: 'Activation of every hidden layer; default: relu' }),
  ),
  normalisation: Type.Optional(
    Type.Union(Normalisation.anyOf, {
      description: 'Normalisation of every hidden layer, before its activation; default: batch',
    }),
  ),
}
const embedding = {
  dim_emb: width(32, 'Embedding dimension d, of every sparse id and of every dense feature'),
  embedding_l2: Type.Number({ minimum: 0, default: 0, description: 'L2 penalty on the embedding table, in training' }),
  wide: Type.Optional(
    Type.Boolean({
      description:
        'A wide part beside the network: per task a weight for each id and number, crossed fields included, whose sum is added to the logit; default: false',
    }),
  ),
  wide_l2: Type.Optional(
    Type.Number({ minimum: 0, description: "L2 penalty on the wide part's weights of ids, in training; default: 0" }),
  ),
}
const towers = {
  num_hidden_tasks: depth('Layers of each task tower, the output layer included'),
  dim_hidden_tasks: width(64, "Width of a tower's hidden layers"),
  dropout_tasks: dropout('the towers'),
  dims_tasks: Type.Optional(
    Type.Union(
      [
        widths(0, 'Of every tower'),
        Type.Record(Type.String(), widths(0, "Of a task's tower"), { description: 'Per task; every task is named' }),
      ],
      {
        description:
          "Widths of a tower's hidden layers, in place of num_hidden_tasks and dim_hidden_tasks; the output layer of width 1 follows",
      },
    ),
  ),
}
const expert = {
  num_hidden_expert: depth('Layers of each expert, the linear output layer included'),
  dim_hidden_expert: width(64, "Width of an expert's layers and of its output"),
  dropout_expert: dropout('the experts'),
  dims_expert: Type.Optional(
    widths(1, "Widths of an expert's layers, the output's last, in place of num_hidden_expert and dim_hidden_expert"),
  ),
  output_expert: outputForm('an expert'),
  gate_function: Type.Optional(
    Type.Union(GateFunction.anyOf, {
      description: "What a gate's scores become before they weigh the experts; default: softmax",
    }),
  ),
  gate_temperature: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, description: "Divides a gate's scores before its function; default: 1" }),
  ),
  num_experts_context: optionalCount('Further experts that read only the fields of the context'),
  num_experts_candidate: optionalCount('Further experts that read only the fields of the candidate'),
}
const experts = {
  num_experts: Type.Integer({
    minimum: 0,
    maximum: 65536,
    default: 4,
    description: 'Number of experts E that read every field; 0 only beside experts of one side',
  }),
  ...expert,
}

export type SharedBottomOptions = Static<typeof SharedBottomOptions>
export const SharedBottomOptions = Type.Object(
  {
    name: Type.Literal('shared_bottom'),
    ...embedding,
    num_hidden_shared: depth('Layers of the shared encoder, the linear output layer included'),
    dim_hidden_shared: width(64, "Width of the shared encoder's layers and of its output"),
    dropout_shared: dropout('the shared encoder'),
    dims_shared: Type.Optional(
      widths(
        1,
        "Widths of the shared encoder's layers, the output's last, in place of num_hidden_shared and dim_hidden_shared",
      ),
    ),
    output_shared: outputForm('the shared encoder'),
    ...towers,
    ...hidden,
  },
  { additionalProperties: false, description: 'Shared bottom: one encoder, a tower per task' },
)

export type MixtureOfExpertsOptions = Static<typeof MixtureOfExpertsOptions>
export const MixtureOfExpertsOptions = Type.Object(
  { name: Type.Literal('mixture_of_experts'), ...embedding, ...experts, ...towers, ...hidden },
  { additionalProperties: false, description: 'Mixture of experts: one gate mixes the experts for every task' },
)

export type MultiGateOptions = Static<typeof MultiGateOptions>
export const MultiGateOptions = Type.Object(
  { name: Type.Literal('multi_gate'), ...embedding, ...experts, ...towers, ...hidden },
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
    ...hidden,
  },
  {
    additionalProperties: false,
    description: 'AITM: each task receives, by attention, what the task before it learnt',
  },
)

export type PleOptions = Static<typeof PleOptions>
export const PleOptions = Type.Object(
  {
    name: Type.Literal('ple'),
    ...embedding,
    num_levels: Type.Integer({ minimum: 1, maximum: 16, default: 2, description: 'Levels of experts; 1 is CGC' }),
    num_experts_task: width(1, "Number of each task's own experts, in every level"),
    num_experts_shared: width(1, 'Number of experts that all tasks share, in every level'),
    ...expert,
    ...towers,
    ...hidden,
  },
  {
    additionalProperties: false,
    description: 'PLE: in every level, each task mixes experts of its own with shared ones',
  },
)

export type EsmmOptions = Static<typeof EsmmOptions>
export const EsmmOptions = Type.Object(
  { name: Type.Literal('esmm'), ...embedding, ...towers, ...hidden },
  { additionalProperties: false, description: 'ESMM: a tower per task; the tasks share the embedding alone' },
)

export type SingleTaskOptions = Static<typeof SingleTaskOptions>
export const SingleTaskOptions = Type.Object(
  { name: Type.Literal('single_task'), ...embedding, ...towers, ...hidden },
  { additionalProperties: false, description: 'Single task: a network per task, with an embedding of its own' },
)

/** A built-in architecture and its options. */
export type ArchitectureOptions = Static<typeof ArchitectureOptions>
export const ArchitectureOptions = Type.Union(
  [
    SharedBottomOptions,
    MixtureOfExpertsOptions,
    MultiGateOptions,
    AitmOptions,
    PleOptions,
    EsmmOptions,
    SingleTaskOptions,
  ],
  {
    description: 'A built-in architecture with its options',
  },
)

export type ArchitectureName = ArchitectureOptions['name']

export const architectureNames: readonly ArchitectureName[] = ArchitectureOptions.anyOf.map(
  ({ properties }) => properties.name.const,
)

/** Names that papers give to architectures. */
export const architectureAliases: Readonly<Record<string, ArchitectureName>> = {
  mmoe: 'multi_gate',
  moe: 'mixture_of_experts',
  omoe: 'mixture_of_experts',
}

/** The name that an alias stands for; any other text unchanged. */
export function canonicalArchitecture(name: string): string {
  return Object.hasOwn(architectureAliases, name) ? architectureAliases[name]! : name
}

/**
 * A spec or manifest, as read and not yet checked, whose `architecture.name` may be an alias: a copy with the canonical
 * name.
 */
export function withCanonicalArchitecture(written: unknown): unknown {
  if (!isObject(written) || !isObject(written.architecture) || typeof written.architecture.name !== 'string')
    return written
  const name = canonicalArchitecture(written.architecture.name)
  return { ...written, architecture: { ...written.architecture, name } }
}
