import Type, { type Static } from 'typebox'
import { Side } from './features.ts'
import { DeltaStatus } from './models-folder.ts'

const time = { examples: ['2026-12-01T09:00:00.000Z'] }

/** A feature table that is read, in `GET /models/{model}`. */
export type TableDetails = Static<typeof TableDetails>
export const TableDetails = Type.Object({
  name: Type.String(),
  version: Type.String(),
  digest: Type.String({ description: 'SHA-256 of its description, which lists those of its files' }),
  rows: Type.Integer({ description: 'Rows of the version, without its deltas' }),
  bytes: Type.Integer(),
  source: Type.String({ description: 'The file that it was imported from' }),
  created_at: Type.String({ ...time, description: 'When it was imported' }),
  changed_at: Type.Optional(Type.String({ ...time, description: 'When the last delta in effect was written' })),
  deltas: DeltaStatus,
  refused: Type.Optional(
    Type.Object(
      { version: Type.String(), problem: Type.String() },
      { description: 'A newer version that is not read, and why' },
    ),
  ),
})

const KeyCounts = Type.Object(
  {
    found: Type.Integer(),
    unknown: Type.Integer({ description: 'Those that the table did not have' }),
    examples: Type.Array(Type.String(), { description: 'The last different ones of these, shortened' }),
  },
  { description: 'Keys that requests named, in the process that responds' },
)

/** A thing whose features come from a table, in `GET /models/{model}`. */
export type EntityDetails = Static<typeof EntityDetails>
export const EntityDetails = Type.Object({
  name: Type.String(),
  key: Type.String({ description: 'The property of requests that holds the key' }),
  side: Side,
  features: Type.Array(Type.String(), { description: 'Fields that the table has' }),
  unknown: Type.String({ description: 'The fate of keys that the table does not have' }),
  max_age_seconds: Type.Optional(Type.Number({ description: 'An older table is reported as stale' })),
  table: Type.Optional(TableDetails),
  first_keys: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Of candidates: keys of the first rows of the table, to try. Those of users are not shown',
    }),
  ),
  keys: KeyCounts,
})

/** A feature table and its readers, in `GET /tables`. */
export type ServedTable = Static<typeof ServedTable>
export const ServedTable = Type.Object(
  {
    ...TableDetails.properties,
    read_by: Type.Array(
      Type.Object({
        model: Type.String(),
        version: Type.String(),
        entity: Type.String(),
        key: Type.String({ description: 'The property of requests that holds the key' }),
        keys: KeyCounts,
      }),
      { description: 'Entities of loaded versions that read it' },
    ),
  },
  { description: 'A feature table that is read' },
)

export type TableList = Static<typeof TableList>
export const TableList = Type.Object({
  tables: Type.Array(ServedTable, { description: 'By name. A key for some models sees the tables that these read' }),
})
