import Type, { type Static } from 'typebox'

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
