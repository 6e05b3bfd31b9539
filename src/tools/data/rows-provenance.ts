import type { Manifest } from '../../schemas/manifest.ts'
import type { Provenance } from '../../schemas/provenance.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'

/**
 * A version's provenance with what the spec of its rows says of labels and columns, for `train --from`. What training
 * has said already stays.
 */
export function rowsProvenance(
  { provenance = {}, tasks }: Pick<Manifest, 'provenance' | 'tasks'>,
  spec: Pick<RowsSpec, 'tasks' | 'fields'>,
): Pick<Provenance, 'tasks' | 'field_options'> {
  const labels = spec.tasks
    .filter(({ name }) => tasks.some((task) => task.name === name))
    .map(({ name, label, where }) => [name, { label, ...(where !== undefined && { where }) }] as const)
  const columns = spec.fields.flatMap(({ name, column, expression }) => {
    const own = { ...(column !== undefined && { column }), ...(expression !== undefined && { expression }) }
    return Object.keys(own).length > 0 ? [[name, own] as const] : []
  })
  const known = (name: string) => provenance.field_options?.[name]
  return {
    tasks: { ...Object.fromEntries(labels), ...provenance.tasks },
    ...((columns.length > 0 || provenance.field_options) && {
      field_options: {
        ...provenance.field_options,
        ...Object.fromEntries(columns.map(([name, own]) => [name, { ...own, ...known(name) }])),
      },
    }),
  }
}
