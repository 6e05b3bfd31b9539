import Type, { type Static } from 'typebox'
import { JoinedTable } from './joined-table.ts'

export type Provenance = Static<typeof Provenance>
export const Provenance = Type.Object(
  {
    created: Type.Optional(Type.String({ description: 'ISO 8601 time' })),
    command: Type.Optional(Type.String({ description: 'The command that made this version' })),
    data: Type.Optional(Type.String()),
    seed: Type.Optional(Type.Integer()),
    epochs: Type.Optional(Type.Integer()),
    kept: Type.Optional(
      Type.Object(
        {
          epoch: Type.Integer(),
          metric: Type.String(),
          value: Type.Number(),
          tasks: Type.Optional(
            Type.Record(Type.String(), Type.Integer(), {
              description: "Each task's epoch, where each has a network of its own; `epoch` is the last of them",
            }),
          ),
        },
        { description: 'The epoch whose weights these are, and what it was best by on the validation rows' },
      ),
    ),
    history: Type.Optional(
      Type.Array(Type.Unknown(), { description: 'Loss and AUC of each epoch, on training and validation rows' }),
    ),
    rows: Type.Optional(Type.Object({ train: Type.Integer(), validation: Type.Integer(), test: Type.Integer() })),
    feature_tables: Type.Optional(
      Type.Array(JoinedTable, { description: 'The feature tables that rows had values of, in training' }),
    ),
    field_options: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({
          bins: Type.Optional(Type.Integer()),
          dim: Type.Optional(Type.Integer()),
          l2: Type.Optional(Type.Number()),
          column: Type.Optional(Type.String()),
          expression: Type.Optional(Type.String()),
          pooling: Type.Optional(Type.String()),
          separator: Type.Optional(Type.String()),
          weights: Type.Optional(Type.String()),
        }),
        { description: 'By field, what a training spec says of its place in the network, and of where its values are' },
      ),
    ),
    history_of: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'What lists are made of in the rows, as the training spec says it',
      }),
    ),
    sequences: Type.Optional(
      Type.Array(Type.Record(Type.String(), Type.Unknown()), {
        description: 'How the network reads sequences, as the training spec says it',
      }),
    ),
    tasks: Type.Optional(
      Type.Record(Type.String(), Type.Record(Type.String(), Type.Unknown()), {
        description: 'By task, how the training spec defines its labels, its place in the loss and its calibration',
      }),
    ),
    from: Type.Optional(Type.String({ description: 'The version whose weights training started from' })),
    threads: Type.Optional(Type.Integer({ description: 'Threads of training, on which the weights depend' })),
    calibration: Type.Optional(
      Type.Object(
        { from: Type.String(), data: Type.String(), rows: Type.Integer() },
        { description: 'The version that was recalibrated, and the rows that its calibration was fitted to' },
      ),
    ),
    quantization: Type.Optional(
      Type.Object(
        { from: Type.String(), data: Type.String(), rows: Type.Integer() },
        { description: 'The version that was given a precision, and the rows that judge it' },
      ),
    ),
    engine: Type.Optional(Type.String()),
    multigate: Type.Optional(Type.String({ description: 'Version of multigate' })),
  },
  { description: 'How this version came to be' },
)
