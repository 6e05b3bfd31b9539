import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isLikelySmall } from '../../model/engines/small/likely-small.ts'
import { openGraph } from '../../model/graph/lower/read-graph.ts'
import { savedGraph } from '../../model/serving/prediction/load-graph.ts'
import { findBundle } from '../../model/serving/version/read-version.ts'

/** How many processes `MULTIGATE_PROCESSES=auto` means, and why. */
export interface ChosenProcesses {
  processes: number
  reason: string
}

/**
 * One process per core where the main threads compute all models: the graphs of their highest versions are small.
 * Otherwise one, whose workers use all cores: several would each keep the graphs and the cached candidates. A version
 * that can't be read decides nothing.
 */
export async function chooseProcesses(models: string, cores: number): Promise<ChosenProcesses> {
  if (cores === 1) return { processes: 1, reason: 'there is one core' }
  let small = 0
  for (const name of (await readdir(models).catch(() => [])).sort()) {
    const isSmall = await isSmallModel(join(models, name)).catch(() => undefined)
    if (isSmall === false) return { processes: 1, reason: `${name} is computed by worker threads` }
    if (isSmall) small++
  }
  if (small === 0) return { processes: 1, reason: 'there is no model yet' }
  return { processes: cores, reason: 'all models are small' }
}

/** Undefined where there is no version. */
async function isSmallModel(folder: string): Promise<boolean | undefined> {
  const bundle = await findBundle(folder)
  return bundle && isLikelySmall(await openGraph(savedGraph(bundle, [])))
}
