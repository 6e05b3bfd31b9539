import { createReadStream, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { repeatedIndexes } from '../../base/arrays.ts'
import { reasonOf } from '../../base/errors.ts'
import type { CsvData } from '../../schemas/rows-spec.ts'
import { CsvParser } from './csv-parser.ts'
import { type Cell, locateFiles, type RowGroup, type Source, SpecError } from './source.ts'
import { csvColumn, MissingTexts } from './text-columns.ts'

interface CsvFile {
  /** Index of the file's first row among all rows. */
  first: number
  file: string
  lines: Lines
}

/** Least bytes of one read. */
const leastPiece = 2 ** 18

/**
 * Bytes of one read of a file with this number of columns. A read then has some hundred rows, and its cost for each
 * column is small beside that of the cells.
 */
const pieceBytesFor = (columns: number) => Math.min(2 ** 26, Math.max(leastPiece, columns * 2 ** 11))

/**
 * Streams the rows of a spec's CSV files. Rejects with a SpecError for missing files; reading them rejects for
 * different headers and malformed lines, naming file and line.
 */
export async function openCsv(data: CsvData, specFile: string): Promise<Source> {
  const files = locateFiles(data, specFile)
  const names = data.columns ?? (await readHeader(files[0]!.path, data, specFile))
  const missing = new Set(data.missing)
  const absent = new MissingTexts(data.missing)
  const parts: CsvFile[] = []
  const bytes = files.map(({ path }) => statSync(path).size)
  const total = bytes.reduce((sum, size) => sum + size, 0)
  const own = { validation: 0, test: 0, past: 0 }
  let bytesRead = () => 0

  /** Reads what `take` takes of the bytes that there are, file by file. */
  async function* read<T>(take: (parser: CsvParser, lines: Lines) => Iterable<T>): AsyncGenerator<T> {
    let first = 0
    for (const [fileIndex, { path: file, place, part }] of files.entries()) {
      let header = data.columns ? undefined : names
      const input = openFile(file, pieceBytesFor(names.length))
      const before = bytes.slice(0, fileIndex).reduce((sum, size) => sum + size, 0)
      bytesRead = () => before + input.bytesRead()
      const lines = createLines()
      parts[fileIndex] = { first, file, lines }
      const parser = new CsvParser(data)
      try {
        for await (const { piece, last } of input.pieces) {
          parser.push(piece, last)
          if (header) {
            const record = parser.next()
            if (record === undefined) continue
            const difference = differenceOf(record, header, basename(files[0]!.path))
            if (difference !== undefined) throw new Error(`line ${parser.line} names ${difference}`)
            header = undefined
          }
          for (const taken of take(parser, lines)) yield taken
        }
        if (header) throw new Error('is empty')
      } catch (error) {
        throw new SpecError(specFile, [{ path: place, message: `${basename(file)}: ${csvProblem(error)}` }])
      }
      first += lines.count
      if (part) own[part] += lines.count
    }
  }

  function expectCells(count: number, { line }: CsvParser): void {
    if (count !== names.length) throw new Error(`line ${line} has ${count} cells, not ${names.length}`)
  }

  function rows(wanted: ReadonlySet<number> = new Set(names.keys())): AsyncIterable<readonly Cell[]> {
    const indexes = [...wanted]
    const row = names.map((): Cell => null)
    return read(function* (parser, lines) {
      for (let record = parser.next(); record !== undefined; record = parser.next()) {
        expectCells(record.length, parser)
        lines.add(parser.line)
        for (const column of indexes) {
          const cell = record[column]!
          row[column] = missing.has(cell) ? null : cell
        }
        yield row
      }
    })
  }

  function groups(wanted: ReadonlySet<number>): AsyncIterable<RowGroup> {
    const width = names.length
    return read(function* (parser, lines) {
      let rows = 0
      for (let count = parser.cut(); count !== undefined; count = parser.cut(rows * width)) {
        expectCells(count, parser)
        lines.add(parser.line)
        rows++
      }
      const columns = [...wanted].map((index) => [index, csvColumn(parser, index, width, absent)] as const)
      if (rows > 0) yield { rows, columns: new Map(columns) }
    })
  }

  return {
    columns: names.map((name) => ({ name, type: 'string' })),
    place(index) {
      const part = parts.findLast(({ first }) => first <= index)
      return part ? `${basename(part.file)} line ${part.lines.of(index - part.first)}` : `row ${index + 1}`
    },
    rows,
    groups,
    ownRows: () => own,
    progress: () => (total === 0 ? undefined : bytesRead() / total),
  }
}

async function readHeader(file: string, data: CsvData, specFile: string): Promise<string[]> {
  try {
    const parser = new CsvParser(data)
    for await (const { piece, last } of openFile(file).pieces) {
      parser.push(piece, last)
      const names = parser.next()
      if (names === undefined) continue
      const [twice] = repeatedIndexes(names)
      if (twice !== undefined) throw new Error(`the header names ${JSON.stringify(names[twice])} twice`)
      return [...names]
    }
    throw new Error('is empty')
  } catch (error) {
    throw new SpecError(specFile, [{ path: '/data/csv/0', message: `${basename(file)}: ${csvProblem(error)}` }])
  }
}

/** How a header differs from that of the first file; undefined where it does not. */
export function differenceOf(header: readonly string[], first: readonly string[], file: string): string | undefined {
  const [own, known] = [new Set(header), new Set(first)]
  const absent = first.find((name) => !own.has(name))
  if (absent !== undefined) return `no column ${JSON.stringify(absent)}, which ${file} has`
  const added = header.find((name) => !known.has(name))
  if (added !== undefined) return `a column ${JSON.stringify(added)}, which ${file} has not`
  if (header.length !== first.length) return 'a column twice'
  return header.every((name, i) => name === first[i]) ? undefined : `the columns in another order than ${file}`
}

interface Input {
  /** Each is valid until the next one is asked for. */
  pieces: AsyncIterable<{ piece: Buffer; last: boolean }>
  /** Bytes of the file that have been read, compressed ones if it is. */
  bytesRead(): number
}

function openFile(file: string, pieceBytes = leastPiece): Input {
  return file.endsWith('.gz') ? openCompressed(file, pieceBytes) : openPlain(file, pieceBytes)
}

/** Reads a piece while the one before is used; two memories serve all. */
function openPlain(file: string, pieceBytes: number): Input {
  let read = 0
  async function* pieces() {
    const handle = await open(file)
    let [used, free] = [Buffer.alloc(pieceBytes), Buffer.alloc(pieceBytes)]
    const readNext = () => {
      const reading = handle.read(free)
      // One that fails is seen when it is awaited.
      reading.catch(() => undefined)
      return reading
    }
    let next = readNext()
    try {
      for (;;) {
        const { bytesRead } = await next
        if (bytesRead === 0) break
        read += bytesRead
        ;[used, free] = [free, used]
        next = readNext()
        yield { piece: used.subarray(0, bytesRead), last: false }
      }
      yield { piece: Buffer.alloc(0), last: true }
    } finally {
      await next.catch(() => undefined)
      await handle.close()
    }
  }
  return { pieces: pieces(), bytesRead: () => read }
}

function openCompressed(file: string, pieceBytes: number): Input {
  const bytes = createReadStream(file, { highWaterMark: pieceBytes })
  // On an error in one stream, the pipeline destroys the other with it.
  const stream: Readable = pipeline(bytes, createGunzip({ chunkSize: pieceBytes }), () => {})
  async function* pieces() {
    for await (const piece of stream) yield { piece: piece as Buffer, last: false }
    yield { piece: Buffer.alloc(0), last: true }
  }
  return { pieces: pieces(), bytesRead: () => bytes.bytesRead }
}

function csvProblem(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'Z_BUF_ERROR') return 'ends too early: the compressed file is only a part of one'
  return code?.startsWith('Z_') ? `is no valid gzip file (${reasonOf(error)})` : reasonOf(error)
}

interface Lines {
  /** The next row begins on this line. */
  add(line: number): void
  /** Rows that have been added. */
  readonly count: number
  /** Line, from 1, on which the n-th row begins; only for rows already read. */
  of(row: number): number
}

/** Maps rows to lines: only rows that do not begin on the line after the previous one's take memory. */
function createLines(): Lines {
  const jumps: { row: number; line: number }[] = []
  let rows = 0
  let next = 0
  return {
    add(line) {
      if (line !== next) jumps.push({ row: rows, line })
      rows += 1
      next = line + 1
    },
    get count() {
      return rows
    },
    of(row) {
      let [low, high] = [0, jumps.length]
      while (high - low > 1) {
        const middle = (low + high) >>> 1
        if (jumps[middle]!.row <= row) low = middle
        else high = middle
      }
      const jump = jumps[low]
      return jump === undefined ? 1 : jump.line + row - jump.row
    },
  }
}
