import type { Bundle } from '../../model/serving/bundle/read.ts'
import { compareContracts, contractOf } from '../../model/serving/prediction/compare-contracts.ts'
import type { Comparison } from '../../schemas/comparison.ts'
import type { ServiceAddress } from '../client/service-client.ts'
import { comparisonOf } from './compare.ts'
import { describeTable } from './describe-table.ts'
import type { Evaluation } from './evaluate.ts'
import { formatComparison } from './format.ts'
import { findVersion } from './local-predictor.ts'
import type { Predictor } from './predictor.ts'
import { notGoodEnough, openOnDisk, openServed, partOf, writeReportTo } from './run-evaluate.ts'
import { askedByKeys } from './served-entities.ts'
import { type JudgeOptions, judgeAll, readRowsFor, withSession } from './session.ts'

export interface RunCompareOptions extends JudgeOptions {
  a: string
  b: string
  service: ServiceAddress | undefined
}

/** `multigate compare`: compares version b with version a. Resolves with the exit code: 3 if b is worse. */
export function runCompare(options: RunCompareOptions): Promise<number> {
  const { models, service, out, json } = options
  return withSession(options, async (session) => {
    const { loaded, progress } = session
    const versions: { bundle: Bundle | undefined; predictor: Predictor }[] = []
    for (const target of [options.a, options.b]) {
      progress.stage(`opening ${target}`)
      const bundle = service ? undefined : await findVersion(target, models)
      const opening = bundle ? openOnDisk(bundle, options) : openServed(service!, target)
      versions.push({ bundle, predictor: await askedByKeys(await session.keep(opening), loaded) })
    }
    const predictors = versions.map(({ predictor }) => predictor)
    const shared = await readRowsFor(loaded, predictors, session)
    const context = { ...session, part: partOf(loaded, options.part) }
    const judged = versions.map(({ bundle, predictor }, i) => ({
      ...{ predictor, dataset: shared.datasetOf(predictor), manifest: bundle?.manifest, brief: i === 0 },
    }))
    const [a, b] = (await judgeAll(context, judged)) as [Evaluation, Evaluation]
    progress.stage('comparing')
    const [before, after] = versions.map(({ bundle }) => bundle && contractOf(bundle))
    const comparison: Comparison = {
      ...comparisonOf(a, b),
      ...(before && after && { incompatible: compareContracts(before, after) }),
    }
    const report = { ...b.report, comparison }
    progress.stop()
    const lines = [formatComparison(comparison), ...(report.data.tables ?? []).map(describeTable)]
    out.write(`${json ? JSON.stringify(report, undefined, 2) : lines.join('\n')}\n`)
    await writeReportTo(report, options)
    return comparison.verdict === 'worse' ? notGoodEnough : 0
  })
}
