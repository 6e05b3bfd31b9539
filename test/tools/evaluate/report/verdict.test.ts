import t from 'tap'
import type { Comparison, Verdict } from '../../../../src/schemas/comparison.ts'
import type { PublishOutcome } from '../../../../src/schemas/evaluation.ts'
import { verdictBox } from '../../../../src/tools/evaluate/report/sections/verdict.ts'
import { evaluationReport, minimalReport } from '../../../support/evaluation-report.ts'

const comparison = (verdict: Verdict): Comparison => ({ ...evaluationReport().comparison!, verdict })
const publish = (passed: boolean): PublishOutcome => ({
  passed,
  conditions: [{ condition: 'ctr auc ≥ 0.72', passed, found: '.71' }],
})

const headings: [name: string, parts: { publish?: PublishOutcome; comparison?: Comparison }, heading: RegExp][] = [
  ['conditions failed', { publish: publish(false) }, /bad.*✗ Do not ship: conditions failed/],
  ['failed, though better', { publish: publish(false), comparison: comparison('better') }, /bad.*Do not ship/],
  ['met', { publish: publish(true) }, /good.*✓ Ship: all conditions are met/],
  ['met and better', { publish: publish(true), comparison: comparison('better') }, /good.*Ship: better than/],
  ['met, but worse', { publish: publish(true), comparison: comparison('worse') }, /caution.*it is worse than/],
  ['met, no difference', { publish: publish(true), comparison: comparison('no difference shown') }, /good.*Ship: all/],
  ['better', { comparison: comparison('better') }, /good.*Ship: better than/],
  ['worse', { comparison: comparison('worse') }, /bad.*Do not ship: worse than/],
  ['no difference', { comparison: comparison('no difference shown') }, /caution.*No reason to ship/],
  ['neither', {}, /plain.*In short/],
]

for (const [name, parts, heading] of headings)
  t.test(name, async (t) => {
    const { text } = verdictBox({ ...minimalReport(), ...parts })
    t.match(text.split('\n')[0], heading)
    if (parts.publish?.passed === false) t.match(text, 'found <bdi>.71</bdi>')
    if (parts.comparison) t.match(text, 'no difference shown within the margin of .005')
  })

t.test('one sentence per task', async (t) => {
  const report = minimalReport()
  const [task] = report.tasks
  const sentence = (value: number | null, low: number | null, high: number | null) => {
    const metrics = { ...task!.metrics, calibration_ratio: { value, low, high } }
    return verdictBox({ ...report, tasks: [{ ...task!, metrics }] }).text
  }
  t.match(sentence(0.979, 0.965, 0.993), 'predicts 2.10\u00a0% too low (calibration ratio .979 (.965 … .993))')
  t.match(sentence(1.2, 1.1, 1.3), 'predicts 20.0\u00a0% too high (calibration ratio 1.200 (1.100 … 1.300))')
  t.match(sentence(1.02, 0.99, 1.05), 'no bias shown (calibration ratio 1.020 (.990 … 1.050))')
  t.match(sentence(null, null, null), 'calibration unknown')
})
