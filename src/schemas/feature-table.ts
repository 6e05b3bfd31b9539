import type { Static } from 'typebox'
import Type from 'typebox'
import { ModelName, VersionName } from './manifest.ts'

/*
 * `.tables/<table>/<version>/table.json`: the features of entities, such as ads, by their keys. docs/features.md has
 * the format of the files.
 */

const place = Type.Integer({ minimum: 0, description: 'Bytes from the beginning of a row' })
const name = Type.String({ minLength: 1, maxLength: 128 })
const strict = { additionalProperties: false }

/** How numbers are stored: the narrowest in which all of a column are the same. */
export const numberTypes = ['uint8', 'int16', 'int32', 'float32', 'float64'] as const
export type NumberType = (typeof numberTypes)[number]

const numberType = Type.Enum([...numberTypes])

/** Sizes of the codes of strings, bytes: 0 stands for no value, others are 1 more than the number of a string. */
const codeBytes = Type.Union([Type.Literal(1), Type.Literal(2), Type.Literal(4)])

const strings = {
  kind: Type.Literal('string'),
  code_bytes: codeBytes,
  strings: Type.Integer({ minimum: 0, description: 'Different strings' }),
  offsets: Type.Integer({ minimum: 0, description: 'Bytes in strings.bin before uint32 [strings + 1]' }),
  bytes: Type.Integer({ minimum: 0, description: 'Bytes in strings.bin before the strings, UTF-8' }),
}

const StringColumn = Type.Object({ name, place, ...strings }, strict)

const NumberColumn = Type.Object(
  {
    name,
    kind: Type.Literal('number'),
    place,
    type: numberType,
    exact_text: Type.Boolean({
      description: 'Whether each number, written as JSON, is the text that was imported: 7 is, 7.0 is not',
    }),
  },
  strict,
)

const ListColumn = Type.Object(
  {
    name,
    kind: Type.Literal('list'),
    place,
    items: Type.Union([
      Type.Object(strings, strict),
      Type.Object({ kind: Type.Literal('number'), type: numberType }, strict),
    ]),
    count: Type.Integer({ minimum: 0, description: 'Values of all lists' }),
    longest: Type.Integer({ minimum: 0 }),
    values: Type.Integer({ minimum: 0, description: 'Bytes in lists.bin before the values' }),
  },
  { ...strict, description: 'A row holds uint32 first and uint32 count of its values; a count of 2^32 − 1: no list' },
)

export type TableColumn = Static<typeof TableColumn>
export const TableColumn = Type.Union([StringColumn, NumberColumn, ListColumn])

/** Rows of a table, and how its files hold them. */
const rowsOfTable = {
  rows: Type.Integer({ minimum: 1, maximum: 2 ** 28 }),
  key: Type.Object(
    {
      name,
      width: Type.Integer({ minimum: 5, maximum: 32, description: 'Bytes at the beginning of a row' }),
      long: Type.Integer({ minimum: 0, description: 'Keys that are longer than that, in index.bin' }),
    },
    strict,
  ),
  row_bytes: Type.Integer({ minimum: 4 }),
  columns: Type.Array(TableColumn, { maxItems: 4096 }),
}

export type TableDescription = Static<typeof TableDescription>
export const TableDescription = Type.Object(
  {
    format: Type.Literal(1),
    name: ModelName,
    version: VersionName,
    created_at: Type.String({ format: 'date-time' }),
    source: Type.String({ description: 'The file that it was imported from' }),
    ...rowsOfTable,
    files: Type.Record(
      Type.String(),
      Type.Object({ bytes: Type.Integer({ minimum: 0 }), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) }, strict),
    ),
  },
  { ...strict, description: 'A feature table' },
)

export type DescribedRows = Pick<TableDescription, 'rows' | 'key' | 'row_bytes' | 'columns'>

/** The header of a delta of a table, of which the files and the removed keys follow it. */
export type TableDeltaHeader = Static<typeof TableDeltaHeader>
export const TableDeltaHeader = Type.Object(
  {
    table: ModelName,
    version: VersionName,
    base: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: "SHA-256 of the version's files, as table.json lists them",
    }),
    sequence: Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'The number in the name of the file' }),
    created_at: Type.String({ format: 'date-time' }),
    ...rowsOfTable,
    bytes: Type.Object(
      {
        rows: Type.Integer({ minimum: 0 }),
        index: Type.Integer({ minimum: 0 }),
        strings: Type.Integer({ minimum: 0 }),
        lists: Type.Integer({ minimum: 0 }),
      },
      { ...strict, description: 'Sizes of what follows; a byte for each row is last: 1 where it is removed' },
    ),
  },
  { ...strict, description: 'Rows of a feature table that are replaced, added or removed' },
)
