import type { Static } from 'typebox'
import Type from 'typebox'
import { ModelName, VersionName } from './manifest.ts'

/*
 * A delta file: new rows of the live tables of a version. docs/live-tables.md has the format of the whole file.
 */

/** Largest sequence number. */
const mostDeltas = 999_999_999

/** The header of a delta file. */
export type DeltaHeader = Static<typeof DeltaHeader>
export const DeltaHeader = Type.Object(
  {
    model: ModelName,
    version: VersionName,
    base: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: "SHA-256 of the version's files, as its manifest lists them",
    }),
    sequence: Type.Integer({ minimum: 1, maximum: mostDeltas, description: 'The number in the name of the file' }),
    tables: Type.Array(
      Type.Object(
        {
          field: Type.String({ minLength: 1, maxLength: 128, description: 'A field that the manifest declares live' }),
          rows: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
          width: Type.Integer({ minimum: 1, maximum: 65536, description: "Columns of the field's table" }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 4096 },
    ),
  },
  { additionalProperties: false, description: 'What a delta file changes' },
)

/** The delta files of a version, in `GET /models`. */
export type DeltaStatus = Static<typeof DeltaStatus>
export const DeltaStatus = Type.Object(
  {
    applied: Type.Integer({ description: 'Delta files 1 to this one are in effect; 0: none is' }),
    rows: Type.Integer({ description: 'Rows that replace others' }),
    bytes: Type.Integer({ description: 'Their size, which each worker thread keeps' }),
    last_applied_at: Type.Union([Type.String({ examples: ['2026-12-01T09:00:00.000Z'] }), Type.Null()], {
      description: 'When the rows changed last',
    }),
    refused: Type.Union(
      [Type.Object({ file: Type.String({ examples: ['deltas/delta-4.bin'] }), reason: Type.String() }), Type.Null()],
      { description: 'The first file that is not in effect, and why; later files are not either' },
    ),
  },
  { description: 'Delta files of a version with live fields' },
)

/** `<model>/<version>.json`, beside the version: when it takes effect. */
export const Schedule = Type.Object({ activate_at: Type.String() }, { additionalProperties: false })

/** RFC 3339: a date, a time and an offset. */
export const ActivationTime = Type.String({ format: 'date-time', maxLength: 64 })

export type IndexedFile = Static<typeof IndexedFile>
export const IndexedFile = Type.Object(
  {
    bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the file, in hexadecimal' }),
  },
  { additionalProperties: false },
)

/** Files by their path in a folder, with `/` between names. */
export type IndexedFiles = Static<typeof IndexedFiles>
const IndexedFiles = Type.Record(Type.String(), IndexedFile)

export type IndexedModel = Static<typeof IndexedModel>
const IndexedModel = Type.Object(
  {
    versions: Type.Record(Type.String(), IndexedFiles),
    files: Type.Optional(IndexedFiles),
  },
  { additionalProperties: false },
)

/** `index.json` of a models folder: every model, version and file that `multigate sync` copies. */
export type SyncIndex = Static<typeof SyncIndex>
export const SyncIndex = Type.Object(
  { format: Type.Literal(1), models: Type.Record(Type.String(), IndexedModel) },
  { additionalProperties: false },
)

/**
 * `.tables/index.json`: every version and file of the feature tables that `multigate sync` copies. It is a file of its
 * own: release 0.3 refuses an `index.json` with more than it knows. Unknown properties are left alone here.
 */
export type TablesIndex = Static<typeof TablesIndex>
export const TablesIndex = Type.Object({
  format: Type.Literal(1),
  tables: Type.Record(
    Type.String(),
    Type.Object({ versions: Type.Record(Type.String(), IndexedFiles) }, { additionalProperties: false }),
  ),
})
