import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { manifestFile } from '../../model/serving/bundle/manifest.ts'
import { formatContracts } from '../../model/serving/prediction/compare-contracts.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { ModelList, VersionStatus } from '../../schemas/models.ts'
import type { Prediction } from '../../schemas/predict.ts'
import type { AskService } from '../client/service-client.ts'
import { differenceOf } from './golden.ts'
import { readText } from './read-options.ts'

/** A version that a service answers with. */
export interface ServedVersion {
  /** `<name>/<version>`; the name alone where no version answers. */
  version: string
  /** Golden rows that were answered rightly. */
  rows: number
  /** Why none were sent. */
  skipped?: string
  /** Why it fails. */
  problem?: string
  /** The contracts that versions of the model break of the versions before them. */
  contracts?: string[]
}

/**
 * Sends a running service the golden rows of each of its models, and compares the uncalibrated answers with the
 * manifests below `models`. A model that fails does not hide the others.
 *
 * Rejects with MODEL_FAILED if the service does not list its models.
 */
export async function verifyService(ask: AskService, models: string): Promise<ServedVersion[]> {
  const list = (await ask('GET', '/models')) as ModelList
  const checked: ServedVersion[] = []
  for (const { name, default_version: version, versions } of list.models) {
    if (version === undefined) {
      checked.push({ version: name, rows: 0, problem: 'no version answers' })
      continue
    }
    const rounded = roundedBy(versions.find((status) => status.version === version))
    const found = await verifyVersion({ ask, models, name, version, rounded }).catch((error) => ({
      rows: 0,
      problem: reasonOf(error),
    }))
    checked.push({
      version: `${name}/${version}`,
      ...found,
      contracts: versions.flatMap((one) => contractOf(name, one)),
    })
  }
  return checked
}

/** One line per version that answers, and one for each that is incompatible. */
export function formatServed(served: ServedVersion[]): string {
  return served.flatMap((one) => [`${one.version}: ${outcomeOf(one)}`, ...(one.contracts ?? [])]).join('\n')
}

function contractOf(name: string, { version, incompatible }: VersionStatus): string[] {
  if (incompatible === undefined) return []
  return [formatContracts(`${name}/${incompatible.with}`, `${name}/${version}`, incompatible.problems)]
}

function outcomeOf({ rows, skipped, problem }: ServedVersion): string {
  if (problem !== undefined) return `failed, ${problem}`
  return skipped === undefined ? `${rows} golden rows answered correctly` : `not checked, ${skipped}`
}

/** Why the service as a whole fails; undefined if it does not. */
export function failureOf(served: ServedVersion[]): string | undefined {
  const failed = served.filter(({ problem }) => problem !== undefined).map(({ version }) => version)
  if (failed.length > 0) return `${failed.length} of ${served.length} models failed: ${failed.join(', ')}`
  return served.every(({ rows }) => rows === 0) ? 'no model has golden rows' : undefined
}

/** The precision or table format that takes digits from a version's answers; undefined where none does. */
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
  /** The precision or table format that rounds its answers, if any. */
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
