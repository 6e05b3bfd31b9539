import type { LiveTable } from '../../contracts/live-tables.ts'
import { readGraph } from '../lower/read-graph.ts'
import { findLiveTables } from './find-live-tables.ts'
import { optimise } from './optimise.ts'
import type { PrepareRequest } from './prepare-request.ts'

/**
 * The live tables that a version's plan has; a reason if it has none. Rejects as `readGraph`, and with an Error if the
 * graph can't be compiled.
 */
export async function surveyLive({
  source,
  output,
  live,
}: Pick<PrepareRequest, 'source' | 'output' | 'live'>): Promise<LiveTable[] | string> {
  if (live === undefined) return 'the manifest declares no field live, or has the precision int8'
  const graph = await readGraph(source, output)
  const found = await findLiveTables(graph, live)
  await optimise(graph)
  return typeof found === 'string' ? found : [...found.values()]
}
