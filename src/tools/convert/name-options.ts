import { InvalidArgumentError } from 'commander'
import type { TString } from 'typebox'
import { Check } from 'typebox/schema'
import { ModelName, TaskName, VersionName } from '../../schemas/manifest.ts'

/* Parsers of command-line options that name models, versions, tasks and fields. */

export const parseModelName = named(ModelName, 'name of a model')
export const parseVersion = named(VersionName, 'version')

/** `a,b` → names, none of them empty. */
export function parseNames(value: string): string[] {
  const names = value.split(',').map((name) => name.trim())
  if (names.every(Boolean)) return names
  throw new InvalidArgumentError('must be names with commas between them.')
}

const parseTaskName = named(TaskName, 'name of a task')

export function parseTaskNames(value: string): string[] {
  return parseNames(value).map(parseTaskName)
}

function named(schema: TString, what: string) {
  return (value: string): string => {
    if (Check(schema, value)) return value
    throw new InvalidArgumentError(`${JSON.stringify(value)} can't be the ${what}.`)
  }
}
