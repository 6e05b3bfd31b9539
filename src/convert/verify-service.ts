import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type AskService, connectService, type ServiceAddress } from '../client/service-client.ts'
import { ModelError } from '../model/base/errors.ts'
import { manifestFile } from '../model/bundle/manifest.ts'
import type { Manifest } from '../schemas/manifest.ts'
import type { ModelList, VersionStatus } from '../schemas/models.ts'
import type { Prediction } from '../schemas/predict.ts'
import { differenceOf } from './golden.ts'
import { readText } from './read-options.ts'

/** A version that a service answers with. */
export interface ServedVersion {
  /** `<name>/<version>` */
  version: string
  /** Golden rows that were answered rightly. */
  rows: number
  /** Why none were sent. */
  skipped?: string
}

/**
 * Sends the golden rows of every model that a running service answers for, and compares the uncalibrated answers with the
 * manifests below `models`.
 *
 * Rejects with MODEL_FAILED at the first answer that differs, and where no model has golden rows.
 */
export async function verifyService(address: ServiceAddress, models: string): Promise<ServedVersion[]> {
  const ask = await connectService(address)
  const list = (await ask('GET', '/models')) as ModelList
  const checked: ServedVersion[] = []
  for (const { name, default_version: version, versions } of list.models) {
    if (version === undefined) throw new ModelError('MODEL_FAILED', `${name}: no version answers`)
    const rounded = roundedBy(versions.find((status) => status.version === version))
    checked.push({ version: `${name}/${version}`, ...(await verifyVersion({ ask, models, name, version, rounded })) })
  }
  if (checked.every(({ rows }) => rows === 0))
    throw new ModelError(
      'MODEL_FAILED',
      `no model of ${address.url} has golden rows${checked.map(({ version, skipped }) => `; ${version}: ${skipped}`).join('')}`,
    )
  return checked
}

export function formatServed(served: ServedVersion[]): string {
  return served
    .map(({ version, rows, skipped }) =>
      skipped === undefined
        ? `${version}: ${rows} golden rows answered correctly`
        : `${version}: not checked, ${skipped}`,
    )
    .join('\n')
}

/** What takes digits from a version's answers. */
function roundedBy(status: VersionStatus | undefined): string | undefined {
  const { precision = 'float32' } = status ?? {}
  if (precision !== 'float32') return precision
  return status?.tables && `a table in ${status.tables}`
}

interface Served {
  ask: AskService
  models: string
  name: string
  version: string
  /** What rounds its answers, if so. */
  rounded: string | undefined
}

async function verifyVersion({ ask, models, name, version, rounded }: Served): Promise<Omit<ServedVersion, 'version'>> {
  const folder = join(models, name, version)
  if ((await stat(folder).catch(() => undefined)) === undefined)
    throw new ModelError(
      'MODEL_NOT_FOUND',
      `${name}/${version} answers, but ${folder} does not exist: --models names another folder`,
    )
  const file = join(folder, manifestFile)
  if ((await stat(file).catch(() => undefined)) === undefined) return { rows: 0, skipped: 'it has no manifest' }
  // The server has validated it.
  const { golden, tasks } = (await readText(file)) as Manifest
  if (golden === undefined) return { rows: 0, skipped: 'its manifest has no golden rows' }
  if (rounded !== undefined) return { rows: 0, skipped: `${rounded} has fewer digits than golden rows` }
  const body = { model: name, version, candidates: golden.rows, options: { raw: true } }
  const { predictions } = (await ask('POST', '/predict', body)) as { predictions: Prediction[] }
  const names = tasks.map((task) => task.name)
  const answers = predictions.map((prediction) => names.map((task) => prediction.raw?.[task] ?? Number.NaN))
  const difference = differenceOf(golden, answers, names, `${name}/${version} answers`)
  if (difference !== undefined) throw new ModelError('MODEL_FAILED', `${file}: ${difference}`)
  return { rows: golden.rows.length }
}
