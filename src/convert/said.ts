import { readFile, stat } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import { ModelError, reasonOf } from '../model/errors.ts'
import { ArchitectureOptions } from '../schemas/architecture.ts'
import { check } from '../schemas/check.ts'
import type { Features } from '../schemas/features.ts'
import { ImportArchitecture, ImportManifest } from '../schemas/import.ts'
import type { ProblemItem } from '../schemas/problem.ts'
import { classNames } from './keras/open-keras.ts'
import type { ClassHints } from './keras/recognise.ts'

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

/** Reads what `--architecture` names: a class or architecture, or a file of its arguments. Rejects like `readFeatures`. */
export async function readArchitecture(nameOrPath: string): Promise<ClassHints> {
  const file = /\.(?:ya?ml|json)$/.test(nameOrPath)
  const said = file ? await readText(nameOrPath) : { name: nameOrPath }
  const {
    name: written,
    sparse_fields,
    num_tasks,
    num_emb,
    ...options
  } = checked(ImportArchitecture, said, nameOrPath, '') as ImportArchitecture & Record<string, unknown>
  const variants = ArchitectureOptions.anyOf.map(({ properties }) => properties.name.const)
  const name =
    (Object.hasOwn(classNames, written) ? classNames[written] : undefined) ??
    variants.find((variant) => variant === written)
  if (name === undefined)
    throw new ModelError(
      'INVALID_REQUEST',
      `--architecture: ${JSON.stringify(written)} is none of ${[...Object.keys(classNames), ...variants].join(', ')}, and no .yaml or .json file`,
    )
  return { name, options, num_tasks, num_emb, sparseFields: sparse_fields }
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

function checked(
  schema: typeof ImportManifest | typeof ImportArchitecture | typeof Features,
  value: unknown,
  path: string,
  below: string,
): unknown {
  const problems: ProblemItem[] = []
  const result = check(schema, value, '', problems)
  if (problems.length > 0) {
    // A list of fields is named from its own root.
    const texts = problems.slice(0, 10).map(({ path, message }) => `${path.slice(below.length) || '/'} ${message}`)
    throw new ModelError('INVALID_REQUEST', `${path}: ${texts.join('; ')}`)
  }
  return result
}
