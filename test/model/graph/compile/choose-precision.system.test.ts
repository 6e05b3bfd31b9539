import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fastest } from '../../../../src/model/graph/compile/choose-precision.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { buildModel, exampleModel, quantizationOf, requestFor } from '../../../support/compile/random-model.ts'
import { withoutBfloat16 } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const model = { ...exampleModel, layers: 2, width: 128 }
const quantization = await quantizationOf(model, buildModel(model), 600)
const cache = join(folder, 'cache')
const request = { ...(await requestFor(model, folder, { quantization, cache })), precision: 'auto' as const }

async function prepared() {
  const { plan, problem, warnings } = await prepare(request)
  if (plan === undefined) throw new Error(problem)
  t.same(warnings, [])
  return plan
}

t.test('takes the fastest of those that pass, says why, and stays with it', async (t) => {
  const first = await prepared()
  const { precision, choice = '', precisionProblem } = first
  t.equal(precisionProblem, undefined)
  const missing = withoutBfloat16()
  t.equal(choice.includes(`bfloat16 can't be served: ${missing}`), missing !== undefined, choice)
  const times = new Map(
    [...choice.matchAll(/(int8|bfloat16) takes (\d+\.\d+)/g)].map(([, name, time]) => [name, +time!]),
  )
  // Two decimals are known.
  if (precision === 'float32')
    t.ok(
      [...times.values()].every((time) => time >= 0.89),
      choice,
    )
  else {
    t.ok(times.get(precision)! <= 0.9, choice)
    // A less exact one has to be a tenth faster.
    t.ok(
      [...times.values()].every((time) => time >= 0.9 * times.get(precision)! - 0.02),
      choice,
    )
    t.match(first, { verdict: { passed: true }, products: /^(oneDNN 3|ONNX Runtime)/ })
  }
  const second = await prepared()
  t.match(second, { precision, choice, origin: 'cached' })
})

t.test('takes what another process chose, unless it is of another machine, or damaged', async (t) => {
  const { folder: kept, choice } = await prepared()
  const file = join(kept, 'precision-auto.json')
  if (!existsSync(file)) return t.match(choice, /does not clearly pass|can't be served/)
  const { machine } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ machine, precision: 'float32', reason: 'so it was decided' }))
  t.match(await prepared(), { precision: 'float32', choice: /^so it was decided/, onednn: undefined })
  const other = (more: object) => JSON.stringify({ machine, precision: 'float32', reason: 'no', ...more })
  for (const text of [
    other({ machine: 'another' }),
    other({ precision: 'float64' }),
    other({ precision: 1 }),
    '{',
    'null',
  ]) {
    await writeFile(file, text)
    t.match((await prepared()).choice, /^of float32's time for a request of 64 candidates \(/)
    t.equal(JSON.parse(await readFile(file, 'utf8')).machine, machine)
  }
})

t.test('versions of one plan that ask for other precisions keep a choice each', async (t) => {
  const auto = await prepared()
  const kept = async () => {
    const names = (await readdir(auto.folder)).filter((name) => name.startsWith('precision'))
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(auto.folder, name), 'utf8')] as const)),
    )
  }
  const before = await kept()
  const { plan } = await prepare({ ...request, precision: 'int8', onlyIfFaster: true })
  t.equal(plan?.folder, auto.folder)
  t.match(await kept(), before)
})

t.test('a precision that is no faster leaves its place to float32, unless it is to be kept', async (t) => {
  const asked = { ...request, precision: 'int8' as const, onlyIfFaster: true }
  const prepareInt8 = async (more: object = {}) => (await prepare({ ...asked, ...more })).plan!
  const file = join((await prepareInt8()).folder, 'precision-int8.json')
  const { machine, reason } = JSON.parse(await readFile(file, 'utf8'))
  t.match(reason, /^of float32's time for a request of 64 candidates \(\d+ µs, of which 50 .*\), int8 takes \d\.\d\d$/)
  const decide = (precision: string) =>
    writeFile(file, JSON.stringify({ machine, precision, reason: 'so it was decided' }))
  await decide('float32')
  const slow = await prepareInt8()
  t.match(slow, { precision: 'float32', choice: 'so it was decided', verdict: { passed: true } })
  t.equal(slow.precisionProblem, undefined)
  t.match(await prepareInt8({ onlyIfFaster: false }), { precision: 'int8', choice: undefined })
  await decide('int8')
  t.match(await prepareInt8(), { precision: 'int8', choice: undefined, verdict: { passed: true } })
})

t.test('a precision has to save a tenth of a request, its way to a worker and back included', async (t) => {
  const of = (float32: number, int8: number, bfloat16 = float32) =>
    fastest(
      new Map([
        ['float32', float32],
        ['int8', int8],
        ['bfloat16', bfloat16],
      ]),
    )
  t.equal(of(20, 15), 'float32', 'a quarter less of the little that its call takes')
  t.equal(of(950, 800), 'int8')
  t.equal(of(950, 900), 'float32')
  t.equal(of(950, 800, 820), 'bfloat16', 'the more exact one')
})

t.test('without rows to judge others, it is float32', async (t) => {
  const { plan } = await prepare({ ...request, quantization: undefined })
  t.match(plan, { precision: 'float32', precisionProblem: /no quantization rows to evaluate other precisions with/ })
})
