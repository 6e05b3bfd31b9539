import Type, { type Static } from 'typebox'
import { FeatureValue } from './feature-value.ts'
import { VersionName } from './manifest.ts'

/*
 * Below GET /models/{model}/versions/{version}: its distributions and its golden rows; and the body that pins a
 * version.
 */

export type DistributionBin = Static<typeof DistributionBin>
export const DistributionBin = Type.Object({
  label: Type.String({ description: 'The bin, in the terms of requests', examples: ['DE', '0.1 to 4.2', 'bucket 7'] }),
  value: Type.Optional(
    Type.Union([Type.String(), Type.Number()], {
      description:
        'A value that a client could send for it; absent where none is known: for hash buckets, unknown values, the rest, and tasks',
    }),
  ),
  low: Type.Optional(Type.Number({ description: 'Numbers and probabilities: the bin lies above it' })),
  high: Type.Optional(Type.Number({ description: 'The largest value of the bin' })),
  then: Type.Number({ description: 'Its share of the rows that the version was judged on' }),
  now: Type.Number({ description: 'Its share of recent values; 0 while there are none' }),
})

const distribution = {
  name: Type.String(),
  reference: Type.Boolean({
    description:
      'Whether the version has a distribution to compare with; `multigate init --data`, `calibrate` and `train` add one',
  }),
  psi: Type.Union([Type.Number(), Type.Null()], {
    description:
      'Population stability index between then and now: 0.1 is a moderate change, 0.25 a major one; null with fewer than 500 values',
  }),
  observations: Type.Number({ description: 'Recent values: counts are halved whenever they reach 20,000' }),
  bins: Type.Array(DistributionBin, { description: 'None where the version has no reference for it' }),
}

const { name: _, ...unnamed } = distribution

export type LengthDistribution = Static<typeof LengthDistribution>
export const LengthDistribution = Type.Object(unnamed, { description: 'Lists: how many values they have' })

export type FieldDistribution = Static<typeof FieldDistribution>
export const FieldDistribution = Type.Object({
  ...distribution,
  lengths: Type.Optional(LengthDistribution),
  unknown: Type.Integer({ description: 'Values outside the vocabulary or range, since the version was loaded' }),
})

export type TaskDistribution = Static<typeof TaskDistribution>
export const TaskDistribution = Type.Object(distribution)

/** `GET /models/{model}/versions/{version}/distributions`. */
export type VersionDistributions = Static<typeof VersionDistributions>
export const VersionDistributions = Type.Object({
  model: Type.String(),
  version: Type.String(),
  fields: Type.Array(FieldDistribution, { description: 'Every field, in manifest order' }),
  tasks: Type.Array(TaskDistribution, { description: 'Tasks that have a reference' }),
})

/** `GET /models/{model}/versions/{version}/rows`. */
export type VersionRows = Static<typeof VersionRows>
export const VersionRows = Type.Object({
  model: Type.String(),
  version: Type.String(),
  rows: Type.Array(
    Type.Object({
      context: Type.Record(Type.String(), FeatureValue),
      candidate: Type.Record(Type.String(), FeatureValue),
    }),
    { maxItems: 50, description: 'The first golden rows; without fields that are marked `log`' },
  ),
})

/** Body of `POST /models/{model}/pin`. */
export type PinRequest = Static<typeof PinRequest>
export const PinRequest = Type.Object({ version: VersionName }, { additionalProperties: false })
