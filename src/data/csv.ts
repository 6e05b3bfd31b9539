import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { type Parser, parse } from 'csv-parse'
import { reasonOf } from '../model/base/errors.ts'
import type { CsvData } from '../schemas/rows-spec.ts'
import { locateFiles } from './files.ts'
import type { Cell, Source } from './source.ts'
import { SpecError } from './spec.ts'

interface CsvFile {
  /** Index of the file's first row among all rows. */
  first: number
  file: string
  /** Line, from 1, on which the file's n-th row begins. */
  lineOf(row: number): number
}

interface Records {
  /** Includes the header, if there is one. */
  records: AsyncIterable<string[]>
  /** Line, from 1, on which the n-th record begins; only for records already read. */
  lineOf(record: number): number
  /** Bytes of the file that have been read, compressed ones if it is. */
  bytesRead(): number
}

/**
 * Streams the rows of a spec's CSV files. Rejects with a SpecError for missing files; reading them rejects for different headers
 * and malformed lines, naming file and line.
 */
export async function openCsv(data: CsvData, specFile: string): Promise<Source> {
  const files = locateFiles(data.csv, '/data/csv', specFile)
  const names = data.columns ?? (await readHeader(files[0]!, data, specFile))
  const missing = new Set(data.missing)
  const parts: CsvFile[] = []
  const bytes = files.map((file) => statSync(file).size)
  const total = bytes.reduce((sum, size) => sum + size, 0)
  let bytesRead = () => 0

  async function* rows(): AsyncGenerator<readonly Cell[]> {
    let index = 0
    for (const [fileIndex, file] of files.entries()) {
      let header = data.columns ? undefined : names
      const { records, lineOf: lineOfRecord, bytesRead: bytesOfFile } = readRecords(file, data)
      const before = bytes.slice(0, fileIndex).reduce((sum, size) => sum + size, 0)
      bytesRead = () => before + bytesOfFile()
      const headers = header ? 1 : 0
      parts[fileIndex] = { first: index, file, lineOf: (row) => lineOfRecord(row + headers) }
      try {
        for await (const record of records) {
          if (header) {
            if (record.join('\n') !== header.join('\n'))
              throw new Error(`line ${lineOfRecord(0)} names other columns than ${basename(files[0]!)}`)
            header = undefined
            continue
          }
          if (record.length !== names.length) {
            throw new Error(`line ${lineOf(parts, index)} has ${record.length} cells, not ${names.length}`)
          }
          yield record.map((cell) => (missing.has(cell) ? null : cell))
          index += 1
        }
      } catch (error) {
        throw new SpecError(specFile, [
          { path: `/data/csv/${fileIndex}`, message: `${basename(file)}: ${reasonOf(error)}` },
        ])
      }
    }
  }

  return {
    columns: names.map((name) => ({ name, type: 'string' })),
    place: (index) => `${basename(partOf(parts, index)?.file ?? '')} line ${lineOf(parts, index)}`,
    rows,
    progress: () => (total === 0 ? undefined : bytesRead() / total),
  }
}

async function readHeader(file: string, data: CsvData, specFile: string): Promise<string[]> {
  try {
    for await (const record of readRecords(file, data, 1).records) {
      const twice = record.find((name, index) => record.indexOf(name) !== index)
      if (twice !== undefined) throw new Error(`the header names ${JSON.stringify(twice)} twice`)
      return record
    }
    throw new Error('is empty')
  } catch (error) {
    throw new SpecError(specFile, [{ path: '/data/csv/0', message: `${basename(file)}: ${reasonOf(error)}` }])
  }
}

function readRecords(file: string, { separator, trim }: CsvData, to = -1): Records {
  const lines = createLines()
  const parser: Parser = parse({
    delimiter: separator,
    trim,
    bom: true,
    skip_empty_lines: true,
    relax_column_count: true,
    to,
    on_record: (record: string[], { lines: end }) => {
      lines.add(record, end)
      return record
    },
  })
  const bytes = createReadStream(file)
  const streams = file.endsWith('.gz') ? [bytes, createGunzip(), parser] : [bytes, parser]
  // On an error in any stream, the pipeline destroys the parser with it.
  pipeline(streams, () => {})
  return { records: parser, lineOf: lines.of, bytesRead: () => bytes.bytesRead }
}

/**
 * Maps records to lines: blank lines are no records, and quoted cells may contain line breaks. Only records that do not directly
 * follow the previous one take memory.
 */
function createLines() {
  const jumps: { record: number; line: number }[] = []
  let records = 0
  let next = 1
  // Inside quotes the parser counts a two-character line break twice.
  let surplus = 0
  return {
    /** `end`: line on which the record ends, according to the parser. */
    add(record: readonly string[], end: number) {
      let characters = 0
      let breaks = 0
      for (const cell of record) {
        if (!cell.includes('\n') && !cell.includes('\r')) continue
        for (const [found] of cell.matchAll(/\r\n|\r|\n/g)) {
          characters += found.length
          breaks += 1
        }
      }
      const line = end - characters - surplus
      if (line !== next || records === 0) jumps.push({ record: records, line })
      surplus += characters - breaks
      records += 1
      next = line + breaks + 1
      // Between jumps each record takes one line, so the record after a longer one is a jump too.
      if (breaks > 0) jumps.push({ record: records, line: next })
    },
    of(record: number): number {
      const jump = jumps.findLast((candidate) => candidate.record <= record)
      return jump === undefined ? 1 : jump.line + record - jump.record
    },
  }
}

function partOf(parts: CsvFile[], index: number): CsvFile | undefined {
  return parts.findLast(({ first }) => first <= index)
}

function lineOf(parts: CsvFile[], index: number): number {
  const part = partOf(parts, index)
  return part ? part.lineOf(index - part.first) : index + 1
}
