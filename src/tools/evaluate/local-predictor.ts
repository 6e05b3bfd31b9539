import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { systemClock } from '../../base/clock.ts'
import { ModelError } from '../../base/errors.ts'
import { availableCores } from '../../model/engines/pool/cores.ts'
import { createEnginePool } from '../../model/engines/pool/pool.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { loadModel } from '../../model/serving/prediction/model.ts'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import { findBundle, missingModel } from '../../model/serving/version/read-version.ts'
import type { RowEntities } from '../data/entity-tables.ts'
import { attentionOf } from './attention.ts'
import type { PredictedRows, Predictor } from './predictor.ts'
import { rowErrorOf } from './row-error.ts'

/** Rows of a call: enough for the products of matrices to be fast. */
const callRows = 1024
/** Rows from which on another thread saves more time than it takes to start. */
const threadRows = 4 * callRows
/** Longest that a call may take, ms: a timer can't wait much longer. */
const patience = 86_400_000

export interface LocalPredictorOptions {
  /** Folder of compiled plans; undefined: they are kept nowhere. */
  cache: string | undefined
  /** Milliseconds since 1970. */
  now(): number
  onWarning(message: string): void
  /** How many rows it will be asked for, where that is known: few need few threads. */
  rows?: number
  /** How many threads compute at most; default: one per core. */
  threads?: number | undefined
}

/**
 * Finds a version: a folder, or `<model>` or `<model>/<version>` in one of `folders`. Rejects with MODEL_NOT_FOUND,
 * with INVALID_BUNDLE, and with INVALID_REQUEST for a graph without a manifest, whose inputs nothing explains.
 */
export async function findVersion(target: string, ...folders: string[]): Promise<Bundle> {
  const bundle = await findBundle(target, ...folders)
  if (bundle === undefined) throw new ModelError('MODEL_NOT_FOUND', await missingModel(target, folders))
  if (bundle.manifestless)
    throw new ModelError('INVALID_REQUEST', `${target} has no manifest: multigate init writes one`)
  return bundle
}

/** The entities of a version, whose tables are beside it as beside a server's models. */
export function tablesOf({ folder, manifest: { name, version, entities } }: Bundle): RowEntities | undefined {
  if (entities === undefined) return undefined
  return { entities, folder: join(dirname(dirname(resolve(folder))), tablesFolder), of: `${name}/${version}` }
}

/** Loads a version as a server does: compiled where that is possible, its golden rows checked. */
export async function openLocalPredictor(bundle: Bundle, options: LocalPredictorOptions): Promise<Predictor> {
  const { cache, now, onWarning, rows = Number.POSITIVE_INFINITY, threads = availableCores() } = options
  const { manifest } = bundle
  const workers = Math.max(1, Math.min(threads, Math.ceil(rows / threadRows)))
  const pool = await createEnginePool({ engine: 'auto', workers })
  const concurrency = 2 * pool.size
  const loaded = await loadModel(bundle, {
    pool,
    clock: systemClock,
    compiler: { cache, candidateBytes: 0, now, onWarning },
    maxBatchRows: callRows,
    maxDelayMs: 0,
    maxQueueRows: callRows * concurrency,
    maxRequestRows: callRows,
  }).catch(async (error) => {
    await pool.close()
    throw error
  })
  const { name, version, description, architecture, graph, provenance, files } = manifest
  const sizes = Object.keys(files).map(async (path) => (await stat(join(bundle.folder, path))).size)
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  const gates = Object.keys(graph.outputs.gates ?? {}).length > 0
  return {
    model: {
      name,
      version,
      description,
      engine: loaded.engine,
      precision: loaded.plan.precision,
      compiled: loaded.plan.compiled,
      architecture,
      graph: graph.format,
      digest: files[graph.file],
      bytes,
      provenance,
    },
    fields: loaded.encoder.layout.slots.map(({ sparse, column, encoder: { field } }) => ({
      name: field.name,
      side: field.side,
      kind: field.kind,
      ids: sparse ? loaded.encoder.layout.sparse[column]!.ids : undefined,
      list: field.kind === 'vector' ? undefined : field.list,
      sequence: field.kind === 'vector' ? undefined : field.sequence,
    })),
    crossed: manifest.crossed ?? [],
    tables: tablesOf(bundle),
    tasks: [...manifest.tasks, ...manifest.derived],
    mostRows: callRows,
    concurrency,
    async predict(candidates): Promise<PredictedRows> {
      try {
        const { table } = loaded.predict({
          rows: { form: 'columns', context: undefined, candidates },
          options: { raw: true, unknown: true, ...(gates && { gates }) },
          deadline: systemClock.now() + patience,
        })
        const { tasks, raw, gates: weights, unknown } = await table
        return {
          tasks: Object.fromEntries(tasks),
          raw: Object.fromEntries(raw ?? []),
          unknown: unknown ?? [],
          gates:
            weights && Object.fromEntries(weights.map(([task, values]) => [task, rowsOf(values, tasks[0]![1].length)])),
        }
      } catch (error) {
        throw (error instanceof ModelError && error.problems && rowErrorOf(error.problems)) || error
      }
    },
    attention: () => attentionOf(bundle),
    async close() {
      await loaded.close()
      await pool.close()
    },
  }
}

/** Rows of a matrix [rows, …]. */
function rowsOf(values: Float32Array, rows: number): Float32Array[] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) => values.subarray(row * width, (row + 1) * width))
}
