import t from 'tap'
import type { Calibration } from '../../../src/schemas/manifest.ts'
import { calibrateTasks } from '../../../src/tools/train/calibrate-tasks.ts'

type Arguments = Parameters<typeof calibrateTasks>

t.test('where rows are few, training that goes on keeps the calibration of the version before', (t) => {
  const spec = {
    tasks: [
      { name: 'ctr', calibration: 'platt' },
      { name: 'cvr', calibration: 'platt' },
    ],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'], calibration: 'isotonic' }],
  } as unknown as Arguments[0]
  const rows = 4
  const labels = [Int8Array.of(1, 0, 0, 0), Int8Array.of(1, 0, 0, 1)]
  const examples = { encoded: { rows }, labels } as unknown as Arguments[1]
  const platt: Calibration = { method: 'platt', a: 1, b: -0.5 }
  const from = {
    ...{ name: 'shop', version: '3', tasks: [{ name: 'ctr', calibration: platt }, { name: 'cvr' }] },
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'], calibration: platt }],
  }
  const lines: string[] = []
  const calibrate = (...former: (typeof from)[]) =>
    calibrateTasks(spec, examples, new Float32Array(rows * 2), (line) => lines.push(line), ...former)
  t.strictSame(calibrate(from), {
    tasks: [{ name: 'ctr', calibration: platt }, { name: 'cvr' }],
    derived: from.derived,
  })
  t.match(lines, [
    /^calibration of ctr kept from shop\/3: it needs 50 rows of each class, and one has \d$/,
    /^calibration of cvr omitted: it needs/,
    /^calibration of ctcvr kept from shop\/3: it needs/,
  ])
  t.strictSame(calibrate().tasks, [{ name: 'ctr' }, { name: 'cvr' }])
  t.end()
})
