import { statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import type { AsyncBuffer, FileMetaData, RowGroup as ParquetGroup, ParquetParsers } from 'hyparquet'
import { repeatedIndexes } from '../../base/arrays.ts'
import { reasonOf, type Violation } from '../../base/errors.ts'
import type { ParquetData } from '../../schemas/rows-spec.ts'
import {
  listColumn,
  numberColumn,
  type ParquetType,
  parquetTypeOf,
  stringColumn,
  ValueError,
  withConvertedType,
} from './parquet-column.ts'
import {
  type Column,
  type GroupColumn,
  locateFiles,
  type RowCell,
  type RowGroup,
  type Source,
  SpecError,
} from './source.ts'
import { MissingTexts, TextList } from './text-columns.ts'

type Library = typeof import('hyparquet') & { compressors: import('hyparquet').Compressors }

interface ParquetFile {
  name: string
  /** Index of the file's first row among all rows. */
  first: number
  rows: number
  buffer: AsyncBuffer
  metadata: FileMetaData
  types: Map<string, ParquetType>
}

/**
 * Streams the rows of a spec's Parquet files, one row group in memory at a time, and of it the columns that are wanted.
 * Rejects with a SpecError for missing files, for files that are no Parquet, and for files whose columns differ;
 * reading them rejects for damaged data and for integers beyond 2^53.
 */
export async function openParquet(data: ParquetData, specFile: string): Promise<Source> {
  const located = locateFiles(data, specFile)
  const library: Library = { ...(await import('hyparquet')), ...(await import('hyparquet-compressors')) }
  const problems: Violation[] = []
  const files: ParquetFile[] = []
  const own = { validation: 0, test: 0, past: 0 }
  let rows = 0
  for (const { path, place, part } of located) {
    try {
      const file = await openFile(library, path, rows)
      if (files[0]) problems.push(...differences(file, files[0], place))
      files.push(file)
      rows += file.rows
      if (part) own[part] += file.rows
    } catch (error) {
      problems.push({ path: place, message: `${basename(path)}: ${reasonOf(error)}` })
    }
  }
  if (problems.length > 0) throw new SpecError(specFile, problems)
  const types = [...files[0]!.types]
  const columns = types.flatMap(([name, { read }]): Column[] => (read ? [{ name, type: read }] : []))
  let done = 0

  async function* groups(wanted: ReadonlySet<number>): AsyncGenerator<RowGroup> {
    const missing = new MissingTexts(data.missing)
    done = 0
    for (const [index, file] of files.entries()) {
      let first = 0
      for (const group of file.metadata.row_groups) {
        const rows = Number(group.num_rows)
        const read = new Map<number, GroupColumn>()
        // One after the other: decoded columns take far more memory than what is kept of them.
        for (const [i, column] of columns.entries())
          if (wanted.has(i))
            read.set(
              i,
              await readColumn(library, file, group, column, missing).catch((error) => {
                const place = error instanceof ValueError ? ` row ${first + error.row + 1}` : ''
                const message = `${file.name}${place}: column ${column.name} ${reasonOf(error)}`
                throw new SpecError(specFile, [{ path: located[index]!.place, message }])
              }),
            )
        yield { rows, columns: read }
        done += rows
        first += rows
      }
    }
  }

  async function* read(wanted: ReadonlySet<number> = new Set(columns.keys())): AsyncGenerator<readonly RowCell[]> {
    for await (const { rows: count, columns: read } of groups(wanted)) {
      const cells = [...read]
      const record: RowCell[] = columns.map(() => null)
      const before = done
      for (let row = 0; row < count; row++) {
        for (let i = 0; i < cells.length; i++) record[cells[i]![0]] = cells[i]![1].at(row)
        done = before + row + 1
        yield record
      }
      done = before
    }
  }

  return {
    columns,
    unusable: types.flatMap(([name, { read, description }]) => (read ? [] : [{ name, type: description }])),
    place(index) {
      const file = files.findLast(({ first }) => first <= index)!
      return `${file.name} row ${index - file.first + 1}`
    },
    rows: read,
    groups,
    ownRows: () => own,
    progress: () => (rows === 0 ? undefined : done / rows),
  }
}

async function openFile(library: Library, path: string, first: number): Promise<ParquetFile> {
  const name = basename(path)
  if (statSync(path).size === 0) throw new Error('is empty')
  const buffer = bufferOf(path)
  const metadata = await library.parquetMetadataAsync(buffer, { geoparquet: false }).catch((error) => {
    throw new Error(`is no Parquet file, or only a part of one (${reasonOf(error)})`)
  })
  metadata.schema = metadata.schema.map(withConvertedType)
  const children = library.parquetSchema(metadata).children
  const types = new Map(children.map((child) => [child.element.name, parquetTypeOf(child)]))
  const names = children.map(({ element }) => element.name)
  const [twice] = repeatedIndexes(names)
  if (twice !== undefined) throw new Error(`has two columns ${JSON.stringify(names[twice])}`)
  return { name, first, rows: Number(metadata.num_rows), buffer, metadata, types }
}

/** Reads a file by whole pieces: the library's streams take longer than what they read takes to decode. */
function bufferOf(path: string): AsyncBuffer {
  return {
    byteLength: statSync(path).size,
    async slice(start, end = statSync(path).size) {
      const bytes = new Uint8Array(end - start)
      const file = await open(path)
      try {
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at)
          if (bytesRead === 0) throw new Error(`ends after ${start + at} bytes`)
          at += bytesRead
        }
      } finally {
        await file.close()
      }
      return bytes.buffer
    },
  }
}

function differences(file: ParquetFile, first: ParquetFile, place: string): Violation[] {
  const messages: string[] = []
  for (const [name, { description }] of first.types) {
    const own = file.types.get(name)?.description
    if (own === undefined) messages.push(`column ${name} is missing, which ${first.name} has`)
    else if (own !== description) messages.push(`column ${name} is ${own}, in ${first.name} ${description}`)
  }
  for (const name of file.types.keys())
    if (!first.types.has(name)) messages.push(`column ${name} is not in ${first.name}`)
  return messages.map((message) => ({ path: place, message: `${file.name}: ${message}` }))
}

async function readColumn(
  { parquetRead, compressors }: Library,
  { buffer, metadata, types }: ParquetFile,
  group: ParquetGroup,
  { name, type }: Column,
  missing: MissingTexts,
): Promise<GroupColumn> {
  const pages: ArrayLike<unknown>[] = []
  // Values of lists are not missing.
  const texts = new TextList(type === 'list' ? new MissingTexts([]) : missing)
  const addText = (bytes: Uint8Array) => texts.add(bytes)
  await parquetRead({
    file: buffer,
    metadata: { ...metadata, num_rows: group.num_rows, row_groups: [group] },
    columns: [name],
    compressors,
    parsers: {
      ...timeParsers,
      stringFromBytes: addText,
      jsonFromBytes: addText,
      uuidFromBytes: (bytes) => addText(Buffer.from(uuidOf(bytes))),
    },
    onChunk: ({ columnData }) => pages.push(columnData),
  })
  const rows = Number(group.num_rows)
  if (type === 'list') return listColumn(pages, rows, types.get(name)!.items === 'string' ? texts : undefined)
  return type === 'string' ? stringColumn(pages, rows, texts) : numberColumn(pages, rows)
}

const uuidOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** Times as seconds since 1970, to the microsecond: a number holds no more of them. */
const timeParsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => Number(millis) / 1e3,
  timestampFromMicroseconds: (micros) => Number(micros) / 1e6,
  timestampFromNanoseconds: (nanos) => Number(nanos / 1000n) / 1e6,
  dateFromDays: (days) => days * 86_400,
}
