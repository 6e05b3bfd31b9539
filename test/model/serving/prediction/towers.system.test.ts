import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import type { LoadedModel } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'

/*
 * Models with towers, as PyTorch exports them, from rows to answers: whichever variant computes a row, its answer is
 * PyTorch's.
 */

const pytorch = join(import.meta.dirname, '../../../../../test/fixtures/pytorch')
const { dense, towers } = JSON.parse(await readFile(join(pytorch, 'io.json'), 'utf8'))
const ids = 20
const pool = await createEnginePool({ engine: 'onnx', workers: 2 })
t.teardown(() => pool.close())

interface Rows {
  sparse: number[][]
  dense: number[][]
}

async function writeTowers(root: string, model: string, exporter: string) {
  const fields: number = towers[model].ids[0].length
  const side = (ofUser: boolean) => (ofUser ? ('context' as const) : ('candidate' as const))
  const sparse = Array.from({ length: fields }, (_, i) => ({
    ...{ name: `id${i}`, side: side(i < towers[model].user), kind: 'integer' as const, size: ids },
    ...{ out_of_vocabulary: 'error' as const, missing: 'error' as const },
  }))
  const numbers = [true, true, false].map((ofUser, i) => ({
    ...{ name: `x${i}`, side: side(ofUser), kind: 'numeric' as const },
    ...{ scaling: { method: 'none' as const }, missing: 'error' as const },
  }))
  const manifest = {
    ...{ manifest: 1 as const, name: model, version: '1', features: [...sparse, ...numbers] },
    ...{ tasks: [{ name: 'ctr' }, { name: 'cvr' }], derived: [], precision: 'float32' as const },
    graph: {
      ...{
        format: 'onnx' as const,
        file: 'model.onnx',
        inputs: { sparse: 'ids', dense: 'dense', ids: 'per_field' as const },
      },
      outputs: { probabilities: 'probabilities' },
    },
  }
  const files = { 'model.onnx': await readFile(join(pytorch, `${model}-${exporter}.onnx`)) }
  await writeBundle(join(root, model, '1'), { manifest, files }, { replace: true })
  return readBundle(root, model, '1')
}

async function ask(model: LoadedModel, rows: Rows): Promise<number[]> {
  const deadline = systemClock.now() + 60_000
  const { table } = model.predict({ rows: { form: 'tensors', ...rows }, deadline })
  return (await table).tasks.flatMap(([, values]) => [...values])
}

/** One user and some candidates, of whom there are few. */
function request(model: string, dice: Dice): Rows {
  const user: number = towers[model].user
  const fields: number = towers[model].ids[0].length
  const drawn = (count: number) => Array.from({ length: count }, () => dice.below(ids))
  const [context, numbers] = [drawn(user), [dice.next(), dice.next()]]
  const rows = Array.from({ length: dice.between(1, 40) }, () => new Dice(dice.below(12)))
  return {
    sparse: rows.map((own) => [...context, ...Array.from({ length: fields - user }, () => own.below(ids))]),
    dense: rows.map((own) => [...numbers, own.next()]),
  }
}

const dear = { a: 9, b: 9, joined: { a: 9, b: 9 } }
const cheap = { a: 0.1, b: 1, joined: { a: 0.1, b: 1 } }

for (const model of ['two-towers', 'user-tower'])
  for (const exporter of ['script', 'dynamo'])
    t.test(`${model}, ${exporter}`, async (t) => {
      const [root, cache] = [await temporaryFolder(t), await temporaryFolder(t)]
      const bundle = await writeTowers(root, model, exporter)
      const options = { pool, clock: systemClock, maxBatchRows: 256, maxDelayMs: 0 }
      const limits = { maxQueueRows: 100_000, maxRequestRows: 10_000 }
      const saved = await loadModel(bundle, { ...options, ...limits })
      for (const way of ['full', 'shared_context', 'cached'] as const) {
        const all = { full: dear, shared_context: dear, candidate_encoder: dear, cached: dear }
        const costs: PlanCosts = { ...all, [way]: cheap, lookUp: 0 }
        const compiler = { cache, candidateBytes: 1 << 20, costs, now: Date.now, onWarning: t.fail.bind(t) }
        const compiled = await loadModel(bundle, { ...options, ...limits, compiler })
        for (const [i, expected] of towers[model].probabilities.entries()) {
          const answers = await ask(compiled, { sparse: [towers[model].ids[i]], dense: [dense[i]] })
          t.ok(distance(answers, expected) < 1e-5, `${way}, row ${i} of PyTorch`)
        }
        const dice = new Dice(7)
        for (let burst = 0; burst < 5; burst++) {
          const requests = Array.from({ length: 6 }, () => request(model, dice))
          const expected = await Promise.all(requests.map((rows) => ask(saved, rows)))
          const actual = await Promise.all(requests.map((rows) => ask(compiled, rows)))
          t.ok(distance(actual.flat(), expected.flat()) < 1e-5, `${way}, burst ${burst}`)
        }
        const { rows } = (await compiled.graphStats())!
        t.ok(rows[way] > 100, `${rows[way]} rows`)
        await compiled.close()
      }
      await saved.close()
    })

function distance(actual: number[], expected: number[]): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  return Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))
}
