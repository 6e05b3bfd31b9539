import type { Static } from 'typebox'
// The console draws architectures: this form of the import leaves most of TypeBox out of its pages.
import * as Type from 'typebox'

/*
 * The options that all architectures have, and what others are made of: each stands in the file of its architecture, in
 * model/graph/architectures/. Names and defaults are those of the reference implementation
 * (clabrugere/multitask-learning). A model's number of tasks and of embedding rows follow from its manifest.
 */

/** An activation that every engine and the compiler know. */
export type ActivationName = Static<typeof ActivationName>
export const ActivationName = Type.Union([
  Type.Literal('linear'),
  Type.Literal('relu'),
  Type.Literal('sigmoid'),
  Type.Literal('tanh'),
])

/** The function of a gate's scores that gives its weights. */
export type GateFunction = Static<typeof GateFunction>
export const GateFunction = Type.Union([Type.Literal('softmax'), ...ActivationName.anyOf])

export type Normalisation = Static<typeof Normalisation>
const Normalisation = Type.Union([Type.Literal('batch'), Type.Literal('none')])

export const width = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 65536, default: value, description })
/** Widths of layers, one by one; `fewest` is 0 where the output's width is fixed and follows. */
export const widths = (fewest: 0 | 1, description: string) =>
  Type.Array(Type.Integer({ minimum: 1, maximum: 65536 }), { minItems: fewest, maxItems: 64, description })
export const outputForm = (of: string) =>
  Type.Optional(
    Type.Union([Type.Literal('linear'), Type.Literal('hidden')], {
      description: `The last layer of ${of}: linear, or a hidden layer like those before it; default: linear`,
    }),
  )
export const depth = (description: string) => Type.Integer({ minimum: 1, maximum: 64, default: 2, description })
export const dropout = (of: string) =>
  Type.Number({
    minimum: 0,
    exclusiveMaximum: 1,
    default: 0,
    description: `Dropout after each hidden layer of ${of}, in training`,
  })

/** Properties that the reference fixes and its variants change; without them an architecture is the reference's. */
export const hiddenOptions = {
  activation: Type.Optional(
    Type.Union(ActivationName.anyOf, { description: 'Activation of every hidden layer; default: relu' }),
  ),
  normalisation: Type.Optional(
    Type.Union(Normalisation.anyOf, {
      description: 'Normalisation of every hidden layer, before its activation; default: batch',
    }),
  ),
}

export const embeddingOptions = {
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

/**
 * An architecture by its name, with its options. `withArchitectures` completes a schema that has it: it knows which
 * options each architecture takes.
 */
export type ArchitectureOptions = Static<typeof CommonOptions> & Record<string, unknown>
const CommonOptions = Type.Object({ name: Type.String(), ...embeddingOptions, ...hiddenOptions })
export const ArchitectureOptions = Type.Unsafe<ArchitectureOptions>(CommonOptions)
