import type { LogicalType, SchemaElement, SchemaTree } from 'hyparquet'

/** What the values of a Parquet column are, for rows and for messages. */
export interface ParquetType {
  /** `string` and `double` can be read; undefined: the column can't be used. */
  read: 'string' | 'double' | undefined
  /** For people, with its article. Files fit together if it is the same in all. */
  description: string
}

/** The type of a top-level column. Dates and times count as seconds since 1970, true and false as 1 and 0. */
export function parquetTypeOf({ element, children }: SchemaTree): ParquetType {
  if (children.length > 0) return unusable(nestedName(element))
  if (element.repetition_type === 'REPEATED') return unusable('a list')
  const logical = element.logical_type?.type
  const { type, converted_type: converted } = element
  if (converted === 'DECIMAL') return number
  if (converted === 'DATE' || converted?.startsWith('TIMESTAMP') || logical === 'TIMESTAMP' || type === 'INT96')
    return time
  if (converted?.startsWith('TIME') || logical === 'TIME') return unusable('a time of day')
  if (type === 'BYTE_ARRAY') return textTypes.has(converted ?? logical ?? '') ? string : unusable('binary')
  if (type !== 'FIXED_LEN_BYTE_ARRAY') return number
  if (logical === 'UUID') return string
  if (logical === 'FLOAT16') return number
  return unusable(converted === 'INTERVAL' ? 'an interval' : 'binary')
}

const string: ParquetType = { read: 'string', description: 'a string' }
const number: ParquetType = { read: 'double', description: 'a number' }
const time: ParquetType = { read: 'double', description: 'a time' }
const unusable = (description: string): ParquetType => ({ read: undefined, description })

const textTypes = new Set(['UTF8', 'STRING', 'ENUM', 'JSON'])

function nestedName({ converted_type: converted, logical_type: logical }: SchemaElement): string {
  const kind = converted ?? logical?.type
  if (kind === 'LIST') return 'a list'
  return kind === 'MAP' || kind === 'MAP_KEY_VALUE' ? 'a map' : 'a struct'
}

/** Adds the older name of a type that a file gives by its newer name alone: the library decodes by the older one. */
export function withConvertedType(element: SchemaElement): SchemaElement {
  const logical = element.logical_type
  if (element.converted_type !== undefined || logical === undefined) return element
  const converted = convertedType(logical)
  if (converted === undefined) return element
  const scale = logical.type === 'DECIMAL' ? logical.scale : undefined
  return { ...element, converted_type: converted, ...(scale !== undefined && { scale }) }
}

function convertedType({ type }: LogicalType): SchemaElement['converted_type'] {
  if (type === 'DECIMAL' || type === 'DATE' || type === 'JSON') return type
  return type === 'STRING' ? 'UTF8' : undefined
}
