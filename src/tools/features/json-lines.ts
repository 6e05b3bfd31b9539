import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { reasonOf } from '../../base/errors.ts'
import { readLines } from '../../base/lines.ts'
import { isObject } from '../../schemas/json.ts'
import type { Cell, Column, RowCell, Source } from '../data/source.ts'
import { SpecError } from '../data/source.ts'

/**
 * Opens a file with a JSON object on each line. It is read once for the names and types of its columns, and then for
 * its rows. Rejects with a SpecError that names the first lines that are none.
 */
export async function openJsonLines(file: string, complete = false): Promise<Source> {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) throw new SpecError(file, [{ path: '', message: 'no such file' }])
  const types: ColumnTypes = new Map()
  let first: { line: number; names: string[] } | undefined
  for await (const { value, line } of lines(file)) {
    const names = Object.keys(value)
    first ??= { line, names }
    if (complete) expectSame(first, names, line, file)
    for (const name of names) note(types, name, value[name], `${basename(file)} line ${line}`, file)
  }
  const columns = [...types].map(([name, type = 'string']): Column => ({ name, type }))
  const places: number[] = []
  let read = 0
  return {
    columns,
    place: (index) => `${basename(file)} line ${places[index] ?? index + 1}`,
    async *rows() {
      let row = 0
      for await (const { value, line, bytes } of lines(file)) {
        if (line !== row + 1) places[row] = line
        read = bytes
        row++
        yield columns.map(({ name }): RowCell => cellOf(value[name]))
      }
    },
    progress: () => (found.size === 0 ? undefined : Math.min(1, read / found.size)),
  }
}

/** Throws a SpecError where a line has other properties than the first one. */
function expectSame(first: { line: number; names: string[] }, names: readonly string[], line: number, file: string) {
  const refuse = (lacking: number, name: string, having: number) => {
    const message = `${basename(file)} line ${lacking} lacks ${name}, which line ${having} has: write null for no value`
    throw new SpecError(file, [{ path: '', message }])
  }
  for (const name of first.names) if (!names.includes(name)) refuse(line, name, first.line)
  for (const name of names) if (!first.names.includes(name)) refuse(first.line, name, line)
}

/** By name; undefined while all values are null. */
type ColumnTypes = Map<string, Column['type'] | undefined>

/** Notes the type of a column: texts beside numbers make it one of strings. */
function note(types: ColumnTypes, name: string, cell: unknown, place: string, file: string): void {
  if (cell === null || cell === undefined) {
    if (!types.has(name)) types.set(name, undefined)
    return
  }
  const type = Array.isArray(cell) ? 'list' : typeof cell === 'string' ? 'string' : 'double'
  if (isObject(cell)) throw new SpecError(file, [{ path: '', message: `${place}: ${name} is an object` }])
  const known = types.get(name)
  if ((known === 'list') !== (type === 'list') && known !== undefined)
    throw new SpecError(file, [{ path: '', message: `${place}: ${name} is a list in some lines alone` }])
  types.set(name, known === undefined || known === type ? type : 'string')
}

function cellOf(value: unknown): RowCell {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return value.map(scalar)
  return scalar(value)
}

const scalar = (value: unknown): Cell =>
  value === null ? null : typeof value === 'boolean' ? Number(value) : (value as Cell)

async function* lines(file: string): AsyncGenerator<{ value: Record<string, unknown>; line: number; bytes: number }> {
  let [line, bytes] = [0, 0]
  for await (const text of readLines(createReadStream(file, { highWaterMark: 1 << 18 }))) {
    line++
    bytes += text.length + 1
    if (text.trim() === '') continue
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw new SpecError(file, [{ path: '', message: `${basename(file)} line ${line}: ${reasonOf(error)}` }])
    }
    if (!isObject(value))
      throw new SpecError(file, [{ path: '', message: `${basename(file)} line ${line} is no JSON object` }])
    yield { value, line, bytes }
  }
}
