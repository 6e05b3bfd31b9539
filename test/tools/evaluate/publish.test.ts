import t from 'tap'
import type { EvaluationReport } from '../../../src/schemas/evaluation.ts'
import { checkPublish } from '../../../src/tools/evaluate/publish.ts'
import { evaluationReport, reportWithoutPositives } from '../../support/evaluation-report.ts'

const report = evaluationReport()
const task = report.tasks[0]!
const { auc } = task.metrics

t.test('bounds compare values, and say what was found', async (t) => {
  const low = Math.floor(auc.value! * 100) / 100
  const met = checkPublish({ metrics: { [task.name]: { auc: { min: low, max: 1 } } } }, { report })
  t.match(met, { passed: true, conditions: [{ condition: `${task.name} AUC ≥ ${low} and ≤ 1`, passed: true }] })
  t.match(met.conditions[0]!.found, /^0\.\d{4} \(0\.\d{4} … 0\.\d{4}\)$/)
  const missed = checkPublish({ metrics: { [task.name]: { auc: { min: low + 0.02 }, ece: { max: 1 } } } }, { report })
  t.match(missed, { passed: false, conditions: [{ passed: false }, { passed: true }] })
})

t.test('a metric that is undefined, or a task without labels, meets no bound', async (t) => {
  const undefinedMetrics = reportWithoutPositives()
  const name = undefinedMetrics.tasks.find(({ metrics }) => metrics.auc.value === null)!.name
  const outcome = checkPublish(
    { metrics: { [name]: { auc: { min: 0 } }, elsewhere: { logloss: { max: 9 } } } },
    { report: undefinedMetrics },
  )
  t.match(outcome, {
    passed: false,
    conditions: [
      { passed: false, found: '–' },
      { passed: false, found: /no labels of elsewhere/ },
    ],
  })
})

t.test('not worse than the version before, if there is one', async (t) => {
  const { comparison: _, ...alone } = report
  t.match(checkPublish({ not_worse: true }, { report: alone as EvaluationReport }), {
    passed: true,
    conditions: [{ found: 'there is no version before' }],
  })
  for (const [verdict, passed] of [
    ['worse', false],
    ['better', true],
    ['no difference shown', true],
  ] as const) {
    const compared = { ...report, comparison: { ...report.comparison!, verdict } }
    t.equal(checkPublish({ not_worse: true }, { report: compared }).passed, passed, verdict)
  }
})

t.test('baselines: better than the base rate, and not worse than the regression', async (t) => {
  const conditionOf = (entropy: number | null, verdict: 'better' | 'worse' | 'no difference shown' | undefined) => {
    const difference = { a: 0.78, b: 0.75, difference: { value: -0.03, low: -0.04, high: -0.02 }, verdict: verdict! }
    const judged = {
      ...task,
      metrics: { ...task.metrics, normalised_entropy: { ...task.metrics.normalised_entropy, value: entropy } },
      baselines: {
        ...task.baselines,
        logistic: verdict && {
          ...task.baselines.logistic!,
          differences: { auc: difference, normalised_entropy: { ...difference, verdict: 'better' as const } },
        },
      },
    }
    return checkPublish({ beats: 'logistic' }, { report: { ...report, tasks: [judged] } as EvaluationReport })
      .conditions[0]!
  }
  t.match(conditionOf(0.8, 'better'), { passed: true, found: /^better than logistic regression: / })
  t.match(conditionOf(0.8, 'no difference shown'), { passed: true })
  t.match(conditionOf(0.8, 'worse'), {
    passed: false,
    found: `${task.name} is worse than logistic regression on the same fields: AUC 0.7500, not 0.7800`,
  })
  t.match(conditionOf(1.048, 'better'), { passed: false, found: /no better than its base rate.* 1\.048, not below 1/ })
  t.match(conditionOf(0.8, undefined), { passed: false, found: /could not be judged/ })
  t.match(conditionOf(null, 'better'), { passed: false, found: /could not be judged/ })
})

t.test('int8 must have been judged, and pass', async (t) => {
  const verdict = { passed: true, rows: 1, tasks: [], reasons: [] }
  t.equal(checkPublish({ int8: true }, { report, precisions: { int8: { verdict, problem: undefined } } }).passed, true)
  const failed = { ...verdict, passed: false, reasons: ['ctr: the AUC falls by 0.01'] }
  t.match(checkPublish({ int8: true }, { report, precisions: { int8: { verdict: failed, problem: undefined } } }), {
    conditions: [{ passed: false, found: 'ctr: the AUC falls by 0.01' }],
  })
  t.match(checkPublish({ int8: true }, { report, precisions: { int8: { verdict: undefined, problem: 'no rows' } } }), {
    conditions: [{ passed: false, found: 'no rows' }],
  })
})
