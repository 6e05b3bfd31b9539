import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { createEnginePool } from '../../../src/model/engines/pool/pool.ts'
import { floatShape } from '../../../src/model/graph/ir/tensor-shape.ts'
import { loadModel } from '../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import type { BenchReport } from '../../../src/tools/bench/bench.ts'
import type { CompileReport } from '../../../src/tools/bench/compile-report.ts'
import { type CommonOptions, runBench, runCompile } from '../../../src/tools/bench/run-bench.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { buildModel, exampleModel } from '../../support/compile/random-model.ts'
import { answerWith, emptyGraph } from '../../support/compile/run-graph.ts'
import { withoutBfloat16 } from '../../support/onednn.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const folder = await temporaryFolder(t)
const file = join(folder, 'model.onnx')
await writeFile(file, buildModel(exampleModel).toBytes())

function collect() {
  const out: string[] = []
  const err: string[] = []
  const options: CommonOptions = {
    target: file,
    models,
    context: undefined,
    cross: undefined,
    output: undefined,
    cache: undefined,
    json: false,
    seed: 1,
    signal: new AbortController().signal,
    out: { write: (text) => out.push(text) },
    err: { isTTY: true, write: (text) => err.push(text) },
  }
  return { options, out: () => out.join(''), err: () => err.join('') }
}
/** The precisions of a compiled plan here. */
const compiled = withoutBfloat16() === undefined ? ['float32', 'bfloat16', 'int8'] : ['float32', 'int8']

const quick = { rows: [1, 8], requests: 1, seconds: 0.001, threads: 1 }

async function benchJson(change: Partial<CommonOptions>, requests = 1): Promise<BenchReport> {
  const { options, out } = collect()
  await runBench({ ...options, ...change, json: true, ...quick, requests })
  return JSON.parse(out())
}

t.test("a file's columns are the candidate's, unless it is said otherwise", async (t) => {
  const report = await benchJson({})
  t.same(
    report.measurements.map(({ rows, plan, requests }) => `${rows} ${plan} ${requests}`),
    [1, 8].flatMap((rows) => [
      `${rows} exported any`,
      ...compiled.flatMap((plan) => ['any', 'cached candidates'].map((kind) => `${rows} ${plan} ${kind}`)),
    ]),
  )
  t.ok(report.measurements.every(({ plan, variant }) => (plan === 'exported') === (variant === 'exported')))
  t.same(report.notes, [])
  t.equal(report.int8.state, 'unverified')
  t.type(report.int8.within_limits, 'boolean')
  t.same(
    report.int8.tasks.map(({ task }) => task),
    ['task_0', 'task_1'],
  )
})

t.test('a file whose sides are given is measured by side; its answers are right', async (t) => {
  const { measurements, inputs } = await benchJson({ context: { sparse: [0], dense: [0] }, cross: { dense: [2] } }, 2)
  const plans = measurements.filter(({ rows }) => rows === 8).map(({ plan, requests }) => `${plan} ${requests}`)
  t.same(plans, [
    'exported any',
    ...compiled.flatMap((plan) =>
      ['context per row', 'new candidates', 'cached candidates'].map((kind) => `${plan} ${kind}`),
    ),
  ])
  t.same(inputs, [
    { name: 'sparse', dtype: 'int32', context: 1, candidate: 2, cross: 0 },
    { name: 'dense', dtype: 'float32', context: 1, candidate: 1, cross: 1 },
  ])
  for (const measured of measurements) {
    const { plan, error, microseconds, cold_microseconds, speedup, rows_per_second, requests_per_call } = measured
    if (plan !== 'int8') t.ok(error <= (plan === 'bfloat16' ? 0.02 : 1e-5), `${plan}: ${error}`)
    else t.ok(error > 0 && error < 0.2, `${plan}: ${error}`)
    t.ok(microseconds > 0 && cold_microseconds > 0 && speedup > 0 && rows_per_second > 0)
    t.equal(requests_per_call, 2)
  }
})

t.test('a bundle is found by its name, its folder, and that of a version', async (t) => {
  for (const target of ['ads', join(models, 'ads'), join(models, 'ads', '1')]) {
    const report = await benchJson({ target })
    t.equal(report.target, 'ads/1')
    t.match(report.inputs, [
      { name: 'sparse', context: 2, candidate: 1 },
      { name: 'dense', candidate: 1, cross: 1 },
    ])
  }
})

t.test('a bench is a table for people, with progress on a terminal', async (t) => {
  const { options, out, err } = collect()
  await runBench({ ...options, ...quick })
  t.match(
    out(),
    /^model\.onnx: sparse \(3 candidate\), dense \(3 candidate\); 1 thread\n\nrows +plan +requests +variant +µs +cold µs +× exported /,
  )
  t.match(
    out(),
    /\n(no )?bfloat16: .+\nint8 is unverified: without quantization rows, random rows set its scales; on them it (keeps|exceeds) the limits of the check \(task_0: /,
  )
  t.match(err(), /compiling model\.onnx …[\s\S]*measuring 1 × 8 rows …/)
})

t.test('compile puts a plan where serving finds it, and says what each pass did', async (t) => {
  const cache = join(await temporaryFolder(t), 'cache')
  const { options, out } = collect()
  const change = { target: 'ads', cache, rows: 4 }
  await runCompile({ ...options, ...change, report: true })
  t.match(out(), /^ads\/1: float32, stored in .*cache\/[0-9a-f]{32}; took \d+\.\d s\nint8 is unverified/)
  for (const pass of ['as saved', 'canonicalise', 'fold normalisation', 'fold linear', 'mix experts', 'merge chains'])
    t.match(out(), new RegExp(`\\n${pass} +\\d+ +\\d+ +[\\d,]+ +[\\d.]+ KiB +[\\d,]+ → [\\d,]+ +\\d`), pass)
  t.match(out(), /\nfloat32 +cached +\d+ +[\d,]+ +[\d,]+ /)
  t.equal((await readdir(cache)).length, 1)

  const again = collect()
  await runCompile({ ...again.options, ...change, report: false, json: true })
  const report: CompileReport = JSON.parse(again.out())
  t.match(report, { target: 'ads/1', compiled: true, kept: join(cache, (await readdir(cache))[0]!), notes: [] })
  t.match(report, { precision: 'float32', details: undefined, int8: undefined })

  const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
  const model = await loadModel(await readBundle(models, 'ads', '1'), {
    pool,
    clock: systemClock,
    compiler: { cache, candidateBytes: 0, now: Date.now, onWarning: (message) => t.fail(message) },
    maxBatchRows: 4,
    maxDelayMs: 0,
    maxQueueRows: 10,
    maxRequestRows: 10,
  })
  // Serving keeps the costs of the graphs beside the plan.
  const plans = (await readdir(cache)).filter((name) => !name.startsWith('costs-'))
  t.equal(plans.length, 1, 'serving compiles nothing')
  await model.close()
  await pool.close()
})

t.test('compile fails where its plan can not be kept', async (t) => {
  const { options, out } = collect()
  await t.rejects(runCompile({ ...options, target: 'ads', cache: file, report: false, rows: 1 }), {
    message: `the plan could not be stored in ${file}`,
  })
  t.match(out(), /^ads\/1: float32, could not be stored; took .*\n.*the compiled plan can't be stored in the cache/)
})

t.test('a graph of which nothing can be compiled is measured as it is', async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 2) }, 12)
  answerWith(graph, graph.node('Sigmoid', ['x']))
  const old = join(folder, 'old.onnx')
  await writeFile(old, graph.toBytes())
  const report = await benchJson({ target: old })
  t.same(
    report.measurements.map(({ plan }) => plan),
    ['exported', 'exported'],
  )
  const reason = 'its operator set is 12: 13 and later are compiled'
  t.same(report.notes, [`the graph runs uncompiled: ${reason}`])
  t.match(report.int8, { state: 'impossible', reasons: [reason] })
  const { options, out } = collect()
  await runCompile({ ...options, target: old, report: true, rows: 10 })
  t.match(out(), /^old\.onnx: not compiled\nthe graph runs uncompiled: .* set is 12.*\nno int8 plan: /)
})

t.test('what is not there is named', async (t) => {
  const { options } = collect()
  const fails = (change: Partial<CommonOptions>, message: RegExp) =>
    t.rejects(runBench({ ...options, ...quick, ...change }), { message })
  await fails(
    { target: 'nothing' },
    /^nothing is neither an ONNX file, the folder of a model or version, nor a model in /,
  )
  await fails({ target: join(folder, 'nothing.onnx') }, /^nothing\.onnx: can't be read: it is missing$/)
  await fails({ output: 'other' }, /^model\.onnx: there is no output other, but probabilities$/)
  await fails({ context: { spares: [1] } }, /^--context: there is no input spares; the inputs are /)
  await fails({ context: { sparse: [0, 1] }, cross: { sparse: [1] } }, /^--cross: column 1 of sparse is named twice$/)
  await fails({ context: { sparse: [0, 0] } }, /^--context: column 0 of sparse is named twice$/)
  await fails({ target: 'ads', context: { sparse: [1] } }, /^--context is only for graphs without a manifest$/)
  await mkdir(join(models, 'broken', '1'), { recursive: true })
  await writeFile(join(models, 'broken', '1', 'manifest.json'), '{')
  await fails({ target: 'broken' }, /^broken\/1\/manifest\.json is not JSON: /)
})
