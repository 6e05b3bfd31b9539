import t from 'tap'
import type { TrainSpec } from '../../src/schemas/train-spec.ts'
import type { Dataset } from '../../src/train/dataset.ts'
import { formatReport, reportQuality } from '../../src/train/report.ts'

const spec = {
  tasks: [{ name: 'ctr' }, { name: 'cvr' }],
  derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
} as TrainSpec

const dataset = {
  rows: 5,
  // cvr counts on clicked rows; the last click's conversion isn't known.
  labels: [Int8Array.of(0, 1, 0, 1, 1), Int8Array.of(-1, 1, -1, 0, -1)],
  oracles: [Float64Array.of(0.1, 0.9, 0.2, 0.8, 0.7), Float64Array.of(0.5, 0.8, 0.5, 0.1, 0.5)],
  parts: { train: Int32Array.of(), validation: Int32Array.of(), test: Int32Array.of(1, 2, 3, 4) },
} as unknown as Dataset

const predictions = { ctr: [0.9, 0.1, 0.6, 0.6], cvr: [0.5, 0.5, 0.25, 0.5], ctcvr: [0.45, 0.05, 0.15, 0.3] }

t.test('judges each task on its sample space, derived ones where they are known', async (t) => {
  const [ctr, cvr, ctcvr] = reportQuality(spec, dataset, predictions)
  t.match(ctr, { name: 'ctr', quality: { rows: 4, positives: 3, auc: 1, oracle_auc: 1 } })
  t.match(cvr, { name: 'cvr', quality: { rows: 2, positives: 1, auc: 1, oracle_auc: 1 } })
  t.match(ctcvr, { name: 'ctcvr', quality: { rows: 3, positives: 1, auc: 1, oracle_auc: 1 } })
  t.ok(Math.abs(ctr!.quality.calibration_ratio! - 2.2 / 3) < 1e-12)
})

t.test('tables', async (t) => {
  const table = formatReport(reportQuality(spec, dataset, predictions)).split('\n')
  t.match(table[0], /^task +rows +positives +AUC +logloss +NE +calibration +ECE +oracle AUC +oracle logloss$/)
  t.match(table[3], /^cvr +2 +1 +1\.0000 /)
  t.equal(new Set(table.map((line) => line.length)).size, 1, 'columns line up')

  const unknown = {
    ...dataset,
    oracles: [undefined, undefined],
    labels: [Int8Array.of(0, 0, 0, 0, 0), Int8Array.of(-1, -1, -1, -1, -1)],
  }
  const lines = formatReport(reportQuality(spec, unknown, predictions)).split('\n')
  t.notMatch(lines[0], /oracle/)
  t.match(lines[2], /^ctr +4 +0 +– /, 'one class has no AUC')
})
