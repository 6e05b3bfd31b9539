import { formatBytes } from '../../base/terminal.ts'
import { architectureOf } from '../../model/graph/architectures/table.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { usableMemory } from '../data/columns.ts'
import { type LoadedSpec, SpecError } from '../data/source.ts'

/** A value, two moments, the best epoch's value, and copies where the network is made and written: float32. */
const bytesPerWeight = 6 * 4

/**
 * Foresees whether the tables of a new network, that of a wide part among them, fit into memory. Throws a SpecError
 * that names the field with most of them.
 */
export function expectTableMemory({ file, spec }: LoadedSpec, layout: Layout, available = usableMemory()): void {
  const { architecture, tasks, fields, crossed, embeddings = {} } = spec
  if (architecture === undefined || layout.sparse.length === 0) return
  const tables = architectureOf(architecture.name).ownEmbeddings ? tasks.length : 1
  const weights = layout.sparse.map(({ field, ids }, column) => {
    // The columns of a list read one table, and so do fields that share it.
    const isOwner = layout.sparse[column - 1]?.field !== field && !('owner' in field && field.owner)
    if (!isOwner) return 0
    const dim = embeddings[field.name]?.dim ?? architecture.dim_emb
    return ids * (dim * tables + (architecture.wide ? tasks.length : 0))
  })
  const bytes = bytesPerWeight * weights.reduce((sum, one) => sum + one, 0)
  if (bytes <= available) return
  const largest = layout.sparse[weights.indexOf(Math.max(...weights))]!
  const { name } = largest.field
  const count = largest.ids.toLocaleString('en')
  const message = `the embeddings would take ${formatBytes(bytes)} of memory, and ${formatBytes(available)} are available; ${name} has ${count} of the ids: give it fewer, or lower dim_emb`
  const index = [...fields, ...crossed].findIndex((field) => field.name === name)
  throw new SpecError(file, [{ path: `/fields/${index}`, message }])
}
