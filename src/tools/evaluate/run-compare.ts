import { compareContracts, contractOf } from '../../model/serving/prediction/compare-contracts.ts'
import type { Comparison } from '../../schemas/comparison.ts'
import type { ServiceAddress } from '../client/service-client.ts'
import { readRowsSpec } from '../data/read-spec.ts'
import { comparisonOf } from './compare.ts'
import { createProgress, formatComparison } from './format.ts'
import { findVersion } from './local-predictor.ts'
import type { Predictor } from './predictor.ts'
import {
  judgePredictor,
  notGoodEnough,
  openOnDisk,
  openServed,
  partOf,
  type RowsOptions,
  writeReportTo,
} from './run-evaluate.ts'
import { checkReportFolder, readRowsFor } from './session.ts'

export interface RunCompareOptions extends RowsOptions {
  a: string
  b: string
  service: ServiceAddress | undefined
}

/** `multigate compare`: compares version b with version a. Resolves with the exit code: 3 if b is worse. */
export async function runCompare(options: RunCompareOptions): Promise<number> {
  const { models, service, err, out, signal, json } = options
  const loaded = await readRowsSpec(options.data, options.specs)
  if (options.report !== undefined) await checkReportFolder(options.report)
  const progress = createProgress(err)
  const opened: Predictor[] = []
  try {
    const versions = []
    for (const target of [options.a, options.b]) {
      progress.stage(`opening ${target}`)
      const bundle = service ? undefined : await findVersion(target, models)
      const predictor = bundle ? await openOnDisk(bundle, options) : await openServed(service!, target)
      opened.push(predictor)
      versions.push({ bundle, predictor })
    }
    const shared = await readRowsFor(loaded, opened, { signal, progress })
    const context = { ...options, loaded, shared, part: partOf(loaded, options.part), progress }
    const [a, b] = [
      await judgePredictor(context, versions[0]!.predictor, versions[0]!.bundle, { brief: true }),
      await judgePredictor(context, versions[1]!.predictor, versions[1]!.bundle),
    ]
    progress.stage('comparing')
    const [before, after] = versions.map(({ bundle }) => bundle && contractOf(bundle))
    const comparison: Comparison = {
      ...comparisonOf(a, b),
      ...(before && after && { incompatible: compareContracts(before, after) }),
    }
    const report = { ...b.report, comparison }
    progress.stop()
    out.write(`${json ? JSON.stringify(report, undefined, 2) : formatComparison(comparison)}\n`)
    await writeReportTo(report, options)
    return comparison.verdict === 'worse' ? notGoodEnough : 0
  } finally {
    progress.stop()
    for (const predictor of opened) await predictor.close()
  }
}
