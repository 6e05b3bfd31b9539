import Type, { type Static } from 'typebox'
import { ArchitectureOptions } from './architecture.ts'
import { Entities } from './entities.ts'
import type { CrossedField } from './features.ts'
import { ModelName, TaskName } from './manifest.ts'
import { KeepPrecision, Precision, TableFormat } from './precision.ts'
import { RowData, rowsCommon, Split, seed, strict, taskCommon } from './rows-spec.ts'
import { type Pooling, TrainCrossed, TrainField } from './train-fields.ts'
import { TrainSequence } from './train-sequences.ts'

/*
 * A training specification: everything `multigate train` needs to make a model version out of data.
 * Expressions are CEL (Common Expression Language) over the data's columns; see docs/training.md.
 */

export type CalibrationMethod = Static<typeof CalibrationMethod>
export const CalibrationMethod = Type.Union([Type.Literal('platt'), Type.Literal('isotonic'), Type.Literal('auto')], {
  description:
    'Fitted on the validation rows. `platt`: σ(a · logit + b); `isotonic`: a monotone step function; `auto`: isotonic where it has 1,000 positives and wins on held-out halves, else platt',
})

export type TrainTask = Static<typeof TrainTask>
export const TrainTask = Type.Object(
  {
    ...taskCommon,
    description: Type.Optional(Type.String()),
    weight: Type.Number({ exclusiveMinimum: 0, default: 1, description: "The task's weight in the loss" }),
    entire_space: Type.Optional(
      Type.Array(TaskName, {
        minItems: 1,
        uniqueItems: true,
        description:
          "Trains the task over all rows, as ESMM does: its term of the loss is that of its probability times these tasks', with their product's label",
      }),
    ),
    calibration: Type.Optional(CalibrationMethod),
  },
  { ...strict, description: 'One output of the network' },
)

export type TrainDerivedTask = Static<typeof TrainDerivedTask>
export const TrainDerivedTask = Type.Object(
  {
    name: TaskName,
    product: Type.Array(TaskName, { minItems: 1, description: 'Tasks whose calibrated probabilities are multiplied' }),
    calibration: Type.Optional(CalibrationMethod),
  },
  { ...strict, description: 'A probability composed of others, e.g. ctcvr = ctr · cvr' },
)

export type Training = Static<typeof Training>
export const Training = Type.Object(
  {
    epochs: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 5,
      description: 'Most passes over the training rows',
    }),
    batch_size: Type.Integer({ minimum: 2, maximum: 1_000_000, default: 512, description: 'Rows a step' }),
    learning_rate: Type.Number({ exclusiveMinimum: 0, default: 0.001, description: "Adam's learning rate" }),
    tables: Type.Union([Type.Literal('adam'), Type.Literal('adagrad')], {
      default: 'adam',
      description:
        'What steps the rows of tables: Adam, or row-wise Adagrad, whose steps shorten with what a row has learnt',
    }),
    tables_learning_rate: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Adagrad's learning rate, of tables; default: 0.05, and 0.005 with --from",
      }),
    ),
    weight_decay: Type.Number({
      minimum: 0,
      default: 0,
      description:
        'Decay of the matrices of layers, decoupled from the loss: the share of a learning rate of 1 in each step',
    }),
    warm_up: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'Steps in which the learning rates rise from 0, evenly',
    }),
    schedule: Type.Union([Type.Literal('constant'), Type.Literal('cosine')], {
      default: 'constant',
      description: 'Learning rates: constant, or falling to 0 over all `epochs` by half a cosine',
    }),
    seed,
    patience: Type.Integer({
      minimum: 1,
      default: 2,
      description: 'Epochs without a better one, by `select`, before it stops; the best weights are kept',
    }),
    task_epochs: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Epochs, at most, in which each task then goes on with its own layers (gates, towers) to its own best epoch, while all shared ones stay as they were in theirs; default: none',
      }),
    ),
    select: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description:
          'What the validation rows compare epochs by: `<task>.auc`, `<task>.logloss` or `<task>.normalised_entropy`; default: the mean of all tasks’ normalised entropy',
      }),
    ),
    unknown: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0,
      description:
        'Share of the values of vocabulary and integer fields that count as unknown in each step, so that the row of unknown values is learnt',
    }),
    task_weights: Type.Union([Type.Literal('fixed'), Type.Literal('uncertainty')], {
      default: 'fixed',
      description:
        'What weighs the terms of the loss: `weight` of each task, or that times a weight learnt from its uncertainty (Kendall 2018)',
    }),
    loss: Type.Union([Type.Literal('task_means'), Type.Literal('row_mean')], {
      default: 'task_means',
      description:
        "What a task's `weight` weighs: the mean over the rows of its sample space in a batch (`task_means`), or each row, of which all of the batch share one mean (`row_mean`)",
    }),
    order_penalty: Type.Number({
      minimum: 0,
      default: 0,
      description:
        'Weight of a penalty where a task is more probable than the task before it, as in AITM, where it is 0.6',
    }),
    freeze: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
      default: [],
      description: 'Weights that are not trained: names in which `*` stands for anything, such as `embedding/*`',
    }),
    shuffle: Type.Boolean({ default: true, description: 'Draw a new order of the training rows each epoch' }),
  },
  { ...strict, description: 'How the network is fitted' },
)

/** A spec that was read: crossed fields stand apart from those that have cells. */
export interface TrainSpec extends Omit<Static<typeof TrainSpec>, 'fields'> {
  fields: TrainField[]
  crossed: CrossedField[]
  /** Fields that ask for an embedding of their own, by name; undefined where none does. */
  embeddings?: Record<string, OwnEmbedding>
  /** How crossed fields that are lists are pooled, by name, where the spec says it. */
  poolings?: Record<string, Pooling>
}

export interface OwnEmbedding {
  dim?: number | undefined
  l2?: number | undefined
}

export const TrainSpec = Type.Object(
  {
    name: ModelName,
    version: Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      default: 1,
      description: 'Version to write',
    }),
    description: Type.Optional(Type.String()),
    data: RowData,
    tasks: Type.Array(TrainTask, {
      minItems: 1,
      maxItems: 256,
      description: "Tasks, in the order of the network's outputs",
    }),
    derived: Type.Array(TrainDerivedTask, {
      default: [],
      maxItems: 256,
      description: 'Probabilities composed of others',
    }),
    fields: Type.Array(Type.Union([...TrainField.anyOf, TrainCrossed], { description: 'One field' }), {
      minItems: 1,
      maxItems: 4096,
      description: 'Input fields, in order; crossed ones come last',
    }),
    entities: Type.Optional({
      ...Entities,
      description: 'Fields whose values come from feature tables, by a key, in training and in serving',
    }),
    sequences: Type.Optional(
      Type.Array(TrainSequence, { minItems: 1, maxItems: 64, description: 'How the network reads sequences' }),
    ),
    ...rowsCommon,
    split: Type.Optional(Split),
    architecture: Type.Optional(ArchitectureOptions),
    training: Training,
    precision: Precision,
    keep_precision: Type.Optional(KeepPrecision),
    tables: Type.Optional(TableFormat),
  },
  { ...strict, description: 'What `multigate train` makes a model of' },
)
