import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../src/model/batching/clock.ts'
import { readBundle } from '../../../src/model/bundle/read.ts'
import { writeBundle } from '../../../src/model/bundle/write.ts'
import { createEnginePool } from '../../../src/model/engines/pool.ts'
import { loadModel } from '../../../src/model/prediction/model.ts'
import type { Features } from '../../../src/schemas/features.ts'
import { temporaryFolder } from '../../fixtures/bundle.ts'
import { noReference, referenceFolder } from '../../reference.ts'

interface Encoding {
  sparse: { name: string; vocabulary: string[] }[]
  dense: { name: string; shift: number; scale: number }[]
}
interface RawRows {
  tasks: string[]
  rows: Record<string, string>[]
  probabilities: number[][]
}

const read = <T>(file: string): T => JSON.parse(readFileSync(join(referenceFolder, file), 'utf8'))

t.test(
  "an ONNX file with a manifest answers raw rows as Python's own encoding and model do",
  { skip: noReference },
  async (t) => {
    const encoding = read<Encoding>('encoding.json')
    const { tasks, rows, probabilities } = read<RawRows>('raw_rows.json')
    const features: Features = [
      ...encoding.sparse.map(({ name, vocabulary }) => ({
        name,
        side: 'candidate' as const,
        kind: 'vocabulary' as const,
        // The first is Python's name for whatever is unknown.
        values: vocabulary.slice(1),
        out_of_vocabulary: 'bucket' as const,
        missing: 'error' as const,
      })),
      ...encoding.dense.map(({ name, shift, scale }) => ({
        name,
        side: 'candidate' as const,
        kind: 'numeric' as const,
        scaling: { method: 'standard' as const, mean: shift, deviation: scale },
        missing: 'error' as const,
      })),
    ]
    const numbers = new Set(encoding.dense.map(({ name }) => name))
    const used = new Set(features.map(({ name }) => name))
    const candidates = rows.map((row) =>
      Object.fromEntries(
        Object.entries(row)
          .filter(([name]) => used.has(name))
          .map(([name, value]) => [name, numbers.has(name) ? Number(value) : value]),
      ),
    )
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
