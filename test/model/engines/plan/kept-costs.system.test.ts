import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { CompiledPlan } from '../../../../src/model/contracts/compiled-plan.ts'
import { createOnnxEngine } from '../../../../src/model/engines/onnx/onnx.ts'
import { type OpenSaved, openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { createVariant } from '../../../../src/model/engines/plan/open-variant.ts'
import type { OpenVariant } from '../../../../src/model/engines/plan/variant.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import { costsFile } from '../../../../src/model/graph/compile/stored-files.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import {
  buildModel,
  distance,
  exampleModel,
  output,
  type RandomModel,
  requestFor,
  rowsOf,
  savedAnswers,
} from '../../../support/compile/random-model.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const [models, cache] = [await temporaryFolder(t), await temporaryFolder(t)]
const { plan, problem } = await prepare(await requestFor(exampleModel, models, { cache }))
if (plan === undefined) throw new Error(problem)
const file = join(cache, costsFile(plan.description.float32.structure))
const kept = async () => JSON.parse(await readFile(file, 'utf8'))
const sizes = ({ description: { float32, files } }: CompiledPlan) => {
  const bytes = (name: 'full' | 'shared_context' | 'candidate_encoder' | 'context_encoder' | 'cached') =>
    files[float32[name]!.file]!.bytes
  const full = bytes('full')
  const shared = full + bytes('shared_context')
  return { full, shared, all: shared + bytes('candidate_encoder') + bytes('context_encoder') + bytes('cached') }
}

/** Bytes of the variants that a plan opens. */
async function opened(source = plan!, cacheBytes = 1 << 20): Promise<number> {
  const open = await openPlan(source, options, cacheBytes)
  await open.close()
  return open.memory.variants
}

const cost = (microseconds: number) => ({ a: microseconds, b: 1, joined: { a: microseconds, b: 1 } })

t.test('costs are measured once', async (t) => {
  await opened()
  const first = await kept()
  t.match(Object.keys(first.costs).sort(), ['cached', 'candidate_encoder', 'full', 'lookUp', 'shared_context'])
  await opened()
  t.same(await kept(), first)
})

t.test('costs are those of every plan that differs in weights alone', async (t) => {
  await opened()
  const first = await kept()
  const structures = async (model: RandomModel) => {
    const { plan } = await prepare(await requestFor(model, await temporaryFolder(t), { cache }))
    return { plan: plan!, structure: plan!.description.float32.structure }
  }
  const other = await structures({ ...exampleModel, seed: exampleModel.seed + 1 })
  t.not(other.plan.folder, plan.folder)
  t.equal(other.structure, plan.description.float32.structure)
  await opened(other.plan)
  t.same(await kept(), first, 'it is not measured')
  t.same(
    (await readdir(cache)).filter((name) => name.startsWith('costs-')),
    [costsFile(other.structure)],
  )
  const wider = await structures({ ...exampleModel, width: exampleModel.width + 1 })
  t.not(wider.structure, other.structure)
  const larger = await structures({ ...exampleModel, fields: exampleModel.fields.map((ids) => ids + 1) })
  t.equal(larger.structure, other.structure, 'rows of tables make no difference')
})

t.test('variants that do not pay are not opened', async (t) => {
  const { machine } = await kept()
  const costs = { full: cost(2), shared_context: cost(3), candidate_encoder: cost(1), cached: cost(3), lookUp: 0.1 }
  const keep = (changes: object) =>
    writeFile(file, JSON.stringify({ machine, measured: Date.now(), costs: { ...costs, ...changes } }))
  const { full, shared, all } = sizes(plan)
  await keep({})
  t.equal(await opened(), full)
  await keep({ shared_context: cost(1) })
  t.equal(await opened(), shared)
  t.equal(await opened(plan, 0), shared, 'a cache is not needed')
  await keep({ shared_context: cost(1), cached: cost(0.1) })
  t.equal(await opened(), all)
})

t.test('costs are measured again where the kept ones do not count', async (t) => {
  const good = await kept()
  const impossible = { ...good.costs, full: cost(1e9) }
  const others: Record<string, string> = {
    'of yesterday': JSON.stringify({ ...good, costs: impossible, measured: Date.now() - 25 * 3600 * 1000 }),
    'of tomorrow': JSON.stringify({ ...good, costs: impossible, measured: Date.now() + 3600 * 1000 }),
    'of another machine': JSON.stringify({ ...good, costs: impossible, machine: '1 × other' }),
    'of the full variant alone': JSON.stringify({ ...good, costs: { full: cost(1e9) } }),
    'that are no numbers': JSON.stringify({ ...good, costs: { ...impossible, cached: { a: 'x', b: null } } }),
    'that are negative': JSON.stringify({ ...good, costs: { ...impossible, lookUp: -1, cached: cost(-1) } }),
    'of half a file': JSON.stringify(good).slice(0, 40),
    'of no object': 'null',
  }
  for (const [name, text] of Object.entries(others)) {
    await writeFile(file, text)
    await opened()
    const again = await kept()
    t.ok(again.costs.full.a < 1e6 && again.machine === good.machine, name)
  }
  t.same(
    (await readdir(cache)).filter((name) => name.startsWith('.')),
    [],
    'no temporary files are left',
  )
})

t.test('a plan that is temporary, or in a folder that is not writable, is measured each time', async (t) => {
  await rm(file)
  await opened({ ...plan, origin: 'temporary' })
  t.notOk((await readdir(cache)).some((name) => name.startsWith('costs-')))
  if (process.getuid?.() === 0) return t.comment('root may write anywhere')
  await chmod(cache, 0o500)
  t.teardown(() => chmod(cache, 0o700))
  t.ok(await opened())
})

t.test('the graph as saved computes where it is clearly cheaper, and the compiled one is not open then', async (t) => {
  const graph = buildModel(exampleModel)
  const batch = rowsOf(exampleModel, 50, 3)
  const engine = await createOnnxEngine({ threads: 1 })
  const { source } = await requestFor(exampleModel, models, { cache })
  const shared = { shared_context: cost(1e6), candidate_encoder: cost(1), cached: cost(1e6), lookUp: 1 }
  const answer = async (saved: number) => {
    const costs = { full: cost(100), ...shared, saved: cost(saved) }
    const loaded = await engine.load({ ...source, plan: { ...plan, costs }, cacheBytes: 0 })
    const values = (await loaded.run(batch, [output]))[output]!.slice()
    const { rows, memory } = loaded.stats!()
    await loaded.close()
    return { values, rows, memory }
  }
  const [bySaved, byCompiled] = [await answer(90), await answer(97)]
  t.match(bySaved.rows, { exported: 50, full: 0, shared_context: 0, cached: 0 })
  t.match(byCompiled.rows, { exported: 0, full: 50 })
  t.equal(byCompiled.memory.variants, sizes(plan).full)
  t.not(bySaved.memory.variants, sizes(plan).full)
  t.ok(distance(await savedAnswers(graph, batch), bySaved.values) <= 1e-5)
  t.ok(distance(byCompiled.values, bySaved.values) <= 1e-6)
})

t.test(
  'a saved graph that is found to be cheaper is kept open, and the next one to open the plan takes it',
  async (t) => {
    await rm(file, { force: true })
    const compiled = await openPlan(plan, options, 0)
    const batch = rowsOf(exampleModel, 20, 4)
    const expected = await compiled.run(batch)
    await compiled.close()
    await rm(file, { force: true })
    const calls = { opened: 0, run: 0, released: 0 }
    /** Answers immediately: cheaper than any graph. */
    const openSaved: OpenSaved = async () => {
      calls.opened++
      const answered = (rows: number) => ({
        [output]: { data: new Float32Array((rows * expected.length) / 20).fill(0.5) },
      })
      const session = {
        inputs: [],
        run: async () => ({}),
        release: async () => {
          calls.released++
        },
      }
      const run: OpenVariant['run'] = async (_, requests) => {
        calls.run++
        return answered(requests.reduce((sum, { rows }) => sum + rows.length, 0))
      }
      const rows = createVariant(session, plan.description.float32.full).rows
      const none = { a: 0, b: 0, joined: { a: 0, b: 0 } }
      const variant = {
        session,
        context: [],
        rows,
        lists: [],
        byRequest: false,
        oneRequest: false,
        mostRows: Number.POSITIVE_INFINITY,
        cost: none,
        run,
      }
      return { variant, bytes: 7 }
    }
    for (const measures of [true, false]) {
      const before = calls.run
      const open = await openPlan(plan, options, 0, undefined, openSaved)
      t.equal(calls.run > before, measures, 'it is measured once')
      t.ok((await open.run(batch)).every((value) => value === 0.5))
      t.match(open.stats().rows, { exported: 20, full: 0 })
      t.equal(open.memory.variants, 7, 'it alone is open')
      await open.close()
    }
    t.same([calls.opened, calls.released], [2, 2])
    const failing = await openPlan(plan, options, 0, undefined, async () => undefined)
    t.ok(distance(expected, await failing.run(batch)) < 1e-6, 'where it cannot be opened, the compiled one computes')
    await failing.close()
    await rm(file, { force: true })
  },
)
