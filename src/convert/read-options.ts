import { readFile, stat } from 'node:fs/promises'
import type { TSchema } from 'typebox'
import { parseDocument } from 'yaml'
import { ModelError, reasonOf } from '../model/base/errors.ts'
import { check } from '../schemas/check.ts'
import { ImportManifest } from '../schemas/import.ts'
import type { ProblemItem } from '../schemas/problem.ts'

/** Most bytes of a file that people write; vocabularies can be long. */
const largest = 256 * 1024 * 1024

/**
 * Reads a features file: a list of fields as in a manifest, or the part of a manifest that holds them. Rejects with
 * INVALID_REQUEST, naming the file and every place that is wrong.
 */
export async function readFeatures(path: string): Promise<ImportManifest> {
  const written = await readText(path)
  const whole = Array.isArray(written) ? { features: written } : written
  return checked(ImportManifest, whole, path, Array.isArray(written) ? '/features' : '') as ImportManifest
}

/** Reads YAML or JSON. Rejects with INVALID_REQUEST. */
export async function readText(path: string): Promise<unknown> {
  let text: string
  try {
    const found = await stat(path)
    if (!found.isFile() || found.size > largest) throw new Error(found.isFile() ? 'it is too large' : 'it is no file')
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

/** Checks what a file holds; `below` is the part of each problem's place that the file doesn't have. */
export function checked(schema: TSchema, value: unknown, path: string, below: string): unknown {
  const problems: ProblemItem[] = []
  const result = check(schema, value, '', problems)
  if (problems.length > 0) {
    // A list of fields is named from its own root.
    const texts = problems.slice(0, 10).map(({ path, message }) => `${path.slice(below.length) || '/'} ${message}`)
    throw new ModelError('INVALID_REQUEST', `${path}: ${texts.join('; ')}`)
  }
  return result
}
