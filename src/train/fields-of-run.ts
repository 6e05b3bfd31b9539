import type { Dataset } from '../data/dataset.ts'
import { type LoadedSpec, SpecError } from '../data/spec.ts'
import type { Bundle } from '../model/bundle/read.ts'
import type { Field } from '../schemas/features.ts'
import { fitFields } from './fields.ts'

/**
 * The fields of the version to be: fitted to the training rows, or those of the version that training goes on from, whose tables have
 * a row for each value. The data set's cells become those of the fields, in their order.
 *
 * Throws a SpecError where a field can't be fitted, or the spec lacks one of that version's or has one of another kind.
 */
export function fieldsOf({ spec, file }: LoadedSpec, dataset: Dataset, from: Bundle | undefined): Field[] {
  const { cells, parts } = dataset
  if (from === undefined) {
    const { fields, problems } = fitFields(spec.fields, cells, parts.train)
    if (problems.length > 0) throw new SpecError(file, problems)
    return fields
  }
  const { features, name, version } = from.manifest
  const title = `${name}/${version}`
  const problems: { path: string; message: string }[] = []
  const columns = features.map((field) => {
    const index = spec.fields.findIndex((candidate) => candidate.name === field.name)
    const written = spec.fields[index]
    if (written === undefined)
      problems.push({ path: '/fields', message: `lacks ${field.name}, a field of ${title}, which --from continues` })
    else if (written.kind !== field.kind)
      problems.push({ path: `/fields/${index}/kind`, message: `must be ${field.kind}, as in ${title}` })
    else
      for (const key of ['side', 'size', 'buckets', 'seed'] as const) {
        const [before, now] = [field, written].map((one) => (one as Partial<Record<typeof key, unknown>>)[key])
        if (before !== now)
          problems.push({ path: `/fields/${index}/${key}`, message: `must be ${before}, as in ${title}` })
      }
    return cells[index]!
  })
  spec.fields.forEach((field, index) => {
    if (!features.some(({ name }) => name === field.name))
      problems.push({
        path: `/fields/${index}`,
        message: `${field.name} is no field of ${title}, which --from continues`,
      })
  })
  if (problems.length > 0) throw new SpecError(file, problems)
  dataset.cells = columns
  return features
}
