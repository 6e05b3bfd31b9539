import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { multiGateOptions, testFeatures } from '../support/bundle.ts'
import type * as TestModels from '../support/test-model.ts'

const options = { architecture: multiGateOptions, features: testFeatures, seed: 1, numberScale: 1 }

/** As another process has it, which has made nothing yet. */
async function another(name: string): Promise<typeof TestModels> {
  return import(`${new URL('../support/test-model.js', import.meta.url).href}?${name}`)
}

t.test('a model is made once for all processes of a run', async (t) => {
  const folder = t.testdir()
  process.env.TEST_RUN = folder
  const first = await another('first')
  const model = await first.testModel(options)
  const [file, ...more] = readdirSync(folder)
  t.same(more, [])
  const kept = structuredClone(deserialize(readFileSync(join(folder, file!))))
  t.same(kept, model)
  writeFileSync(join(folder, file!), serialize({ ...kept, tasks: ['kept'] }))
  const second = await another('second')
  t.same(await second.testModel(options), { ...model, tasks: ['kept'] }, 'the second process reads it')
  t.notSame((await second.testModel({ ...options, seed: 2 })).probabilities, model.probabilities)
  t.equal(readdirSync(folder).length, 2)
})

t.test('without a run each process makes its own, and a test its copy', async (t) => {
  delete process.env.TEST_RUN
  const { testModel } = await another('alone')
  const model = await testModel(options)
  const [[first]] = model.probabilities as [[number]]
  model.probabilities[0]![0] = -1
  t.equal((await testModel(options)).probabilities[0]![0], first)
})
