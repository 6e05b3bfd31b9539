import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isOrdinary } from '../model/base/regular-file.ts'
import type { CsvData, ParquetData } from '../schemas/rows-spec.ts'
import { SpecError } from './spec.ts'

/** A part of the rows that may have files of its own. */
export type OwnPart = 'validation' | 'test'

export interface DataFile {
  path: string
  /** Its place in the spec, for messages. */
  place: string
  /** The part that its rows belong to; undefined: those that the split says. */
  part: OwnPart | undefined
}

/**
 * The files of a spec, whose paths are relative to it: first those that the split divides, then those of validation and of test.
 * Throws a SpecError that lists those that do not exist, and pipes and devices: they would be read more than once, and opening a
 * pipe blocks until something writes to it.
 */
export function locateFiles(data: CsvData | ParquetData, specFile: string): DataFile[] {
  const [form, paths] = 'csv' in data ? ['csv', data.csv] : ['parquet', data.parquet]
  const listed = [
    { paths, place: `/data/${form}`, part: undefined },
    { paths: data.validation?.files ?? [], place: '/data/validation/files', part: 'validation' as const },
    { paths: data.test?.files ?? [], place: '/data/test/files', part: 'test' as const },
  ].flatMap(({ paths, place, part }) =>
    paths.map((written, index) => ({
      written,
      file: { path: resolve(dirname(specFile), written), place: `${place}/${index}`, part },
    })),
  )
  const problems = listed.flatMap(({ written, file }) => {
    const message = problemOf(file.path, written)
    return message === undefined ? [] : [{ path: file.place, message }]
  })
  if (problems.length > 0)
    throw new SpecError(specFile, [
      ...problems,
      ...(data.obtain === undefined ? [] : [{ path: '/data/obtain', message: data.obtain.trim() }]),
    ])
  return listed.map(({ file }) => file)
}

function problemOf(path: string, written: string): string | undefined {
  if (!existsSync(path)) return `no such file: ${written} (relative to the spec)`
  return isOrdinary(statSync(path)) ? undefined : `${written} is a pipe or a device, not a file`
}
