import t from 'tap'
import type { TablesReport } from '../../../src/tools/bench/bench.ts'
import { formatTables } from '../../../src/tools/bench/bench-report.ts'

const report: TablesReport = {
  requested: 'float16',
  format: 'float16',
  verified: true,
  tasks: [{ task: 'ctr', auc_loss: 1e-5, mean_change: 1e-4, logit_p99: 4e-4, logit_max: 1e-3 }],
}
const details = '(ctr: AUC loss 1.0e-5, mean 0.010 %, p99 |Δlogit| 0.0004)'

t.test('narrow tables are described by what judged them', async (t) => {
  t.equal(formatTables(report), `float16 tables pass their check on quantization rows ${details}`)
  t.equal(
    formatTables({ ...report, verified: false }),
    `float16 tables are unverified, and servers refuse them: without quantization rows, random rows judged them ${details}`,
  )
  const refused = { ...report, format: 'float32', problem: 'ctr: auc_loss is 0.1' } as const
  t.equal(formatTables(refused), `float32 tables, not float16: ctr: auc_loss is 0.1 ${details}`)
  t.equal(formatTables({ ...refused, tasks: [] }), 'float32 tables, not float16: ctr: auc_loss is 0.1')
})
