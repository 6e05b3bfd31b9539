import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { SpecError } from './spec.ts'

/** The files of a spec, whose paths are relative to it. Throws a SpecError that lists those that do not exist. */
export function locateFiles(paths: readonly string[], place: string, specFile: string): string[] {
  const files = paths.map((path) => resolve(dirname(specFile), path))
  const absent = paths.flatMap((path, index) =>
    existsSync(files[index]!)
      ? []
      : [{ path: `${place}/${index}`, message: `no such file: ${path} (relative to the spec)` }],
  )
  if (absent.length > 0) throw new SpecError(specFile, absent)
  return files
}
