import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { readRawRows } from '../../../support/raw-rows.ts'
import { noReference, referenceFolder } from '../../../support/reference.ts'

t.test(
  "an ONNX file with a manifest answers raw rows as Python's own encoding and model do",
  { skip: noReference },
  async (t) => {
    const { features, candidates, tasks, probabilities } = readRawRows(() => 'candidate')
    const models = await temporaryFolder(t)
    const graph = readFileSync(join(referenceFolder, 'keras2/mmoe/model.onnx'))
    await writeBundle(join(models, 'census', '1'), {
      manifest: {
        manifest: 1,
        name: 'census',
        version: '1',
        features,
        tasks: tasks.map((name) => ({ name })),
        derived: [],
        graph: {
          format: 'onnx',
          file: 'model.onnx',
          inputs: { sparse: 'input_1', dense: 'input_2' },
          outputs: { probabilities: 'output_1' },
        },
        precision: 'float32',
        golden: { rows: candidates, probabilities, tolerance: 1e-5 },
      },
      files: { 'model.onnx': graph },
    })

    const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
    t.teardown(() => pool.close())
    const model = await loadModel(await readBundle(models, 'census', '1'), {
      pool,
      clock: systemClock,
      maxBatchRows: 64,
      maxDelayMs: 0,
      maxQueueRows: 1000,
      maxRequestRows: 1000,
    })
    t.teardown(() => model.close())
    const query = {
      rows: { form: 'rows' as const, context: undefined, candidates },
      deadline: systemClock.now() + 60_000,
    }
    const { tasks: answers } = await model.predict(query).table
    for (const [column, [name, values]] of answers.entries()) {
      t.equal(name, tasks[column])
      for (const [row, value] of values.entries()) t.ok(Math.abs(value - probabilities[row]![column]!) <= 1e-5)
    }
  },
)
