import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../model/base/clock.ts'
import { type NewBundle, writeBundle } from '../model/bundle/write.ts'
import { createEnginePool } from '../model/engines/pool/pool.ts'
import type { ServedPlan } from '../model/prediction/contract.ts'
import { loadModel } from '../model/prediction/model.ts'
import { readBundle } from '../model/version/read-version.ts'

/** How a version will be served. */
export interface Verified {
  engine: string
  plan: Pick<ServedPlan, 'compiled' | 'split' | 'notes'>
}

/**
 * Loads a version as the server does, outside the folder of models: the graph must fit its manifest, answer the golden rows
 * (compiled, if it compiles) and contain the largest ids in its tables.
 *
 * `cache`: folder of compiled plans; the server later reuses the plan. Rejects with the server's error.
 */
export async function verifyBundle(bundle: NewBundle, cache: string | undefined, now: () => number): Promise<Verified> {
  const { name, version } = bundle.manifest
  const root = await mkdtemp(join(tmpdir(), 'multigate-verify-'))
  try {
    await writeBundle(join(root, name, version), bundle)
    const pool = await createEnginePool({ engine: 'auto', workers: 1 })
    try {
      const model = await loadModel(await readBundle(root, name, version), {
        pool,
        clock: systemClock,
        compiler: { cache, candidateBytes: 0, now },
        maxBatchRows: 64,
        maxDelayMs: 0,
        maxQueueRows: 10_000,
        maxRequestRows: 10_000,
      })
      const { engine, plan } = model
      const { compiled, split, notes } = plan
      await model.close()
      return { engine, plan: { compiled, split, notes } }
    } finally {
      await pool.close()
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}
