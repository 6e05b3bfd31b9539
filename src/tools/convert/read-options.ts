import { readFile, stat } from 'node:fs/promises'
import type { TSchema } from 'typebox'
import { parseDocument } from 'yaml'
import { listProblems, ModelError, reasonOf } from '../../base/errors.ts'
import { check } from '../../schemas/check.ts'
import { ImportManifest } from '../../schemas/import.ts'
import type { ProblemItem } from '../../schemas/problem.ts'

/** Largest file that is read, bytes: vocabularies can be long. */
const largest = 256 * 1024 * 1024

/**
 * Reads a features file: a list of fields, as in a manifest, or an object with the manifest's `features` and related
 * properties. Rejects with INVALID_REQUEST, naming the file and every wrong place.
 */
export async function readFeatures(path: string): Promise<ImportManifest> {
  const written = await readText(path)
  const isList = Array.isArray(written)
  return checked(
    ImportManifest,
    isList ? { features: written } : written,
    path,
    isList ? '/features' : '',
  ) as ImportManifest
}

/** Reads YAML or JSON. Rejects with INVALID_REQUEST. */
export async function readText(path: string): Promise<unknown> {
  let text: string
  try {
    const found = await stat(path)
    if (!found.isFile() || found.size > largest)
      throw new Error(found.isFile() ? `it is larger than ${largest} bytes` : 'it is not a file')
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new ModelError('INVALID_REQUEST', `${path} can't be read: ${reasonOf(cause).split(', ')[0]}`, { cause })
  }
  if (path.endsWith('.json')) {
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new ModelError('INVALID_REQUEST', `${path} is not JSON: ${reasonOf(cause)}`, { cause })
    }
  }
  const document = parseDocument(text)
  const [problem] = document.errors
  if (problem) throw new ModelError('INVALID_REQUEST', `${path}: ${problem.message}`)
  return document.toJS()
}

/** Checks the content of a file; `below` is the prefix of each problem's path that the file lacks. */
export function checked(schema: TSchema, value: unknown, path: string, below: string): unknown {
  const problems: ProblemItem[] = []
  const result = check(schema, value, '', problems)
  if (problems.length > 0) {
    const places = problems.map(({ path, message }) => ({ path: path.slice(below.length) || '/', message }))
    throw new ModelError('INVALID_REQUEST', `${path}: ${listProblems(places).join('; ')}`)
  }
  return result
}
