import type { TSchema } from 'typebox'
import { ModelError } from '../../base/errors.ts'
import {
  architectureNames,
  BuiltInArchitecture,
  canonicalArchitecture,
  knownNames,
} from '../../model/graph/architectures/table.ts'
import { check } from '../../schemas/check.ts'
import { didYouMean } from '../../schemas/closest-name.ts'
import { ImportArchitecture } from '../../schemas/import.ts'
import type { ProblemItem } from '../../schemas/problem.ts'
import { classNames } from './keras/class-weights.ts'
import type { ClassHints } from './keras/recognise.ts'
import { checked, readText } from './read-options.ts'

/**
 * Reads `--architecture`: a file of a class's arguments (.yaml, .json), or an inline list such as
 * `mmoe,gate_function=sigmoid`, the optional name of a class or architecture followed by options. Rejects with
 * INVALID_REQUEST, naming every invalid part.
 */
export async function readArchitecture(option: string): Promise<ClassHints> {
  const isFile = /\.(?:ya?ml|json)$/.test(option)
  const place = isFile ? option : '--architecture'
  const written = isFile ? await readText(option) : parseOptions(option)
  const { name, sparse_fields, num_tasks, num_emb, ...options } = checked(
    ImportArchitecture,
    written,
    place,
    '',
  ) as ImportArchitecture & Record<string, unknown>
  const canonical = name === undefined ? undefined : nameOf(name, place)
  const problems = problemsOf(canonical, options)
  if (problems.length > 0) throw new ModelError('INVALID_REQUEST', `${place}: ${problems.join('; ')}`)
  return { name: canonical, options, num_tasks, num_emb, sparseFields: sparse_fields }
}

function parseOptions(option: string): Record<string, unknown> {
  const entries = option.split(',').map((part, index): [string, unknown] => {
    const [key, value] = part.split(/=(.*)/s).map((text) => text.trim())
    if (value === undefined && index === 0) return ['name', key]
    if (!key || !value)
      throw new ModelError('INVALID_REQUEST', `--architecture: ${JSON.stringify(part)} is not of the form option=value`)
    return [key, Number.isFinite(Number(value)) ? Number(value) : value]
  })
  return Object.fromEntries(entries)
}

function nameOf(written: string, place: string): ClassHints['name'] {
  const canonical = Object.hasOwn(classNames, written) ? classNames[written] : canonicalArchitecture(written)
  const name = architectureNames.find((known) => known === canonical)
  if (name !== undefined) return name
  const known = [...Object.keys(classNames), ...knownNames]
  throw new ModelError(
    'INVALID_REQUEST',
    `${place}: ${JSON.stringify(written)} is neither a .yaml or .json file nor one of ${known.join(', ')}${didYouMean(written, known)}`,
  )
}

/** Checks options against the named architecture, or against all of them. */
function problemsOf(name: ClassHints['name'], options: Record<string, unknown>): string[] {
  const variants = BuiltInArchitecture.anyOf.filter(({ properties }) => !name || properties.name.const === name)
  const known = new Map(variants.flatMap(({ properties }) => Object.entries(properties as Record<string, TSchema>)))
  known.delete('name')
  return Object.entries(options).flatMap(([option, value]) => {
    const schema = known.get(option)
    if (schema === undefined)
      return [
        `${option} is not an option of ${name ?? 'any class'}${didYouMean(option, known.keys()) || `; the options are ${[...known.keys()].join(', ')}`}`,
      ]
    const problems: ProblemItem[] = []
    check(schema, value, '', problems)
    return problems.map(({ message }) => `${option} ${message}, not ${JSON.stringify(value)}`)
  })
}
