import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { CatalogueDescription, RowPrecision } from '../../../../src/model/contracts/catalogue.ts'
import type { CompiledPlan, PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import { openCatalogue } from '../../../../src/model/engines/catalogue/catalogue.ts'
import { readCatalogue, shapeOf } from '../../../../src/model/engines/catalogue/read-catalogue.ts'
import { createRowReader, rowWords, writeRows } from '../../../../src/model/engines/catalogue/row-format.ts'
import { CatalogueWriter } from '../../../../src/model/engines/catalogue/write-catalogue.ts'
import { openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import { seal, unseal } from '../../../../src/model/graph/compile/stored-files.ts'
import { openCandidateParts } from '../../../../src/tools/catalogue/candidate-rows.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import {
  buildModel,
  distance,
  quantizationOf,
  type RandomModel,
  requestFor,
  rowsOf,
  savedAnswers,
  sidesOf,
} from '../../../support/compile/random-model.ts'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
/** Many candidates: two fields of ids, and a number. */
const model: RandomModel = {
  seed: 3,
  fields: [5, 300, 12, 200],
  dense: 3,
  ids: 'int32',
  dim: 8,
  experts: 3,
  layers: 2,
  width: 16,
  tasks: 2,
  logs: false,
  sides: ['context', 'candidate', 'cross', 'candidate', 'candidate', 'context', 'cross', 'cross'],
}
/** Cached candidates are computed as such. */
const costs: PlanCosts = {
  full: { a: 10, b: 10 },
  shared_context: { a: 10, b: 10 },
  candidate_encoder: { a: 0, b: 0 },
  cached: { a: 1, b: 1 },
}

const folder = await temporaryFolder(t)
const quantization = await quantizationOf(model, buildModel(model), 400)
const { plan: float32, problem } = await prepare(await requestFor(model, join(folder, 'float32'), { cache: folder }))
if (float32 === undefined) throw new Error(problem)
const asked = { cache: folder, precision: 'int8' as const, quantization, identity: 'int8' }
const { plan: int8 } = await prepare(await requestFor(model, join(folder, 'int8'), asked))
if (int8 === undefined) throw new Error('int8 was not compiled')

/** A copy of the plan, so that tests don't meet each other's catalogues. */
async function own(t: Test, plan: CompiledPlan): Promise<CompiledPlan> {
  const copy = await temporaryFolder(t)
  await cp(plan.folder, copy, { recursive: true, preserveTimestamps: true })
  return { ...plan, folder: copy, costs }
}

const candidates = rowsOf(model, 500, 77)

/** Writes a catalogue of a batch's candidates; returns how many were new. */
async function write(
  plan: CompiledPlan,
  batch: Batch,
  { precision = 'float32' as RowPrecision, update = false, times = 1 } = {},
): Promise<number> {
  const parts = await openCandidateParts(plan)
  const base = update ? await readCatalogue(plan) : undefined
  const writer = await CatalogueWriter.create({ plan, keyWords: parts.keyWords, precision, now: 1e12, base })
  const keys = parts.keys(batch)
  let added = 0
  for (let time = 0; time < times; time++)
    for (let start = 0; start < batch.rows; start += 100) {
      const rows: number[] = []
      for (let row = start; row < Math.min(batch.rows, start + 100); row++) if (writer.claim(keys, row)) rows.push(row)
      added += rows.length
      if (rows.length > 0) await writer.append(await parts.compute(batch, Int32Array.from(rows)))
    }
  await writer.finish()
  await parts.close()
  return added
}

/** One request whose candidates are these of `from`, with one context. */
function requestOf(from: Batch, rows: number[], seed = 5): Batch {
  const batch = rowsOf(model, rows.length, seed)
  for (const [name, values] of Object.entries(batch.inputs)) {
    const sides = sidesOf(model)[name]!
    for (const [i, row] of rows.entries())
      for (const [column, side] of sides.entries()) {
        const width = sides.length
        if (side === 'candidate') values[i * width + column] = from.inputs[name]![row * width + column]!
        if (side === 'context') values[i * width + column] = values[column]!
      }
  }
  return { ...batch, requests: [rows.length] }
}

const range = (length: number, first = 0) => Array.from({ length }, (_, i) => first + i)

t.test('the first request is answered from the catalogue, bit for bit as from the cache', async (t) => {
  for (const original of [float32, int8]) {
    const plan = await own(t, { ...original, precision: original === int8 ? 'int8' : 'float32' })
    await write(plan, candidates)
    const ready = (await readCatalogue(plan))!
    const unknown = rowsOf(model, 40, 1234)
    for (const [batch, hits] of [
      [requestOf(candidates, range(64)), 64],
      [requestOf(candidates, [7]), 1],
      [requestOf(candidates, [3, 3, 3]), 1],
      [requestOf(unknown, range(40)), 0],
    ] as const) {
      const without = await openPlan(plan, options, 1 << 20)
      const seen = await openPlan(plan, options, 1 << 20)
      t.equal(await seen.addCatalogue(ready), undefined)
      const first = await seen.run(batch)
      await without.run(batch)
      const cached = await without.run(batch)
      t.equal(without.stats().catalogue, undefined)
      t.match(seen.stats().catalogue, { hits, rows: ready.description.rows })
      if (hits > 0) t.match(seen.stats().rows, { full: 0, shared_context: 0, cached: batch.rows })
      else await seen.run(batch)
      t.same(hits > 0 ? first : await seen.run(batch), cached)
      t.same(await seen.run(batch), cached, 'again, from the cache')
      t.match(seen.stats().catalogue, { hits }, 'which is asked first')
      seen.reset()
      t.match(seen.stats(), { catalogue: { hits: 0 }, cache: { entries: 0 } })
      await without.close()
      await seen.close()
    }
  }
})

t.test('known and unknown candidates in one batch of several requests', async (t) => {
  const graph = buildModel(model)
  const plan = await own(t, float32)
  await write(plan, candidates)
  const open = await openPlan(plan, options, 1 << 20)
  t.equal(await open.addCatalogue((await readCatalogue(plan))!), undefined)
  const unknown = rowsOf(model, 40, 1234)
  const parts = [
    requestOf(candidates, range(30, 100), 1),
    requestOf(unknown, range(10), 2),
    requestOf(candidates, [0], 3),
  ]
  const mixed: Batch = {
    rows: 41,
    requests: [30, 10, 1],
    inputs: {
      sparse: Int32Array.from(parts.flatMap(({ inputs }) => [...inputs.sparse!])),
      dense: Float32Array.from(parts.flatMap(({ inputs }) => [...inputs.dense!])),
    },
  }
  const expected = await savedAnswers(graph, mixed)
  for (let i = 0; i < 3; i++) t.ok(distance(await open.run(mixed), expected) <= 1e-5)
  t.match(open.stats(), { catalogue: { hits: 31 } })
  await open.close()
})

t.test('more candidates than the cache holds come from the catalogue again', async (t) => {
  const graph = buildModel(model)
  const plan = await own(t, float32)
  await write(plan, candidates)
  const open = await openPlan(plan, options, 20_000)
  t.equal(await open.addCatalogue((await readCatalogue(plan))!), undefined)
  for (let round = 0; round < 2; round++)
    for (let first = 0; first < 500; first += 20) {
      const batch = requestOf(candidates, range(20, first))
      t.ok(distance(await open.run(batch), await savedAnswers(graph, batch)) <= 1e-5)
    }
  const { catalogue, cache } = open.stats()
  t.ok(cache.evictions > 0)
  t.ok(catalogue!.hits > 500, `${catalogue!.hits}`)
  await open.close()
})

t.test('each precision is read as it was stored', async (t) => {
  for (const precision of ['float32', 'bfloat16', 'int8'] as const) {
    const plan = await own(t, float32)
    await write(plan, candidates, { precision })
    const catalogue = await openCatalogue((await readCatalogue(plan))!, options)
    const parts = await openCandidateParts(plan)
    const rows = Int32Array.from(range(200))
    const exact = await parts.compute(candidates, rows)
    const width = exact.length / 200
    const shape = { precision, keyWords: parts.keyWords, width }
    const stored = createRowReader(shape)(writeRows(shape, parts.keys(candidates), exact))
    const [found, expected] = [new Float32Array(exact.length), new Float32Array(exact.length)]
    for (const row of rows) stored.load(row, expected, row * width)
    const missing = await catalogue.fetch(parts.keys(candidates), rows, (i, load) => load(found, i * width))
    t.same(missing, [])
    t.same(found, expected, precision)
    t.equal(
      precision === 'float32' && expected.every((value, i) => Object.is(value, exact[i])),
      precision === 'float32',
    )
    await catalogue.close()
    await parts.close()
  }
})

t.test('candidates whose hashes collide are distinguished', async (t) => {
  const plan = await own(t, float32)
  await write(plan, candidates)
  const ready = (await readCatalogue(plan))!
  // The same table, as if all its keys had one hash of four.
  const few = (keys: Int32Array, start: number) => keys[start]! & 3
  const parts = await openCandidateParts(plan)
  const keys = parts.keys(candidates)
  const stored = new Int32Array((await readFile(join(ready.folder, 'rows.bin'))).buffer.slice(0))
  const words = rowWords(shapeOf(ready.description))
  const index = new Int32Array(ready.index.length)
  const { emptyIndex, insert } = await import('../../../../src/model/engines/catalogue/key-index.ts')
  index.set(emptyIndex(ready.description.rows))
  for (let slot = 0; slot < ready.description.rows; slot++) insert(index, few(stored, slot * words), slot)
  const catalogue = await openCatalogue({ ...ready, index }, options, few)
  const taken = new Set<number>()
  const rows = Int32Array.from(range(500))
  const exact = await parts.compute(candidates, rows)
  const width = exact.length / 500
  const values = new Float32Array(width)
  const missing = await catalogue.fetch(keys, rows, (i, load) => {
    taken.add(i)
    load(values, 0)
    t.same(values, exact.slice(i * width, (i + 1) * width))
  })
  t.same([missing, taken.size], [[], 500])
  // Every unknown one has the hash of some.
  const unknown = rowsOf(model, 50, 1234)
  const none = await catalogue.fetch(parts.keys(unknown), Int32Array.from(range(50)), () => t.fail('it is unknown'))
  t.same(
    none.sort((a, b) => a - b),
    range(50),
  )
  t.ok(catalogue.mayHave(parts.keys(unknown), 0))
  await catalogue.close()
  await parts.close()
})

t.test('a candidate is stored once; an update adds those that are new, and the old files go', async (t) => {
  const plan = await own(t, float32)
  const first = rowsOf(model, 120, 77)
  const more = rowsOf(model, 300, 77)
  t.equal(await write(plan, first, { times: 2, precision: 'int8' }), 120)
  const before = (await readCatalogue(plan))!
  const inUse = await openCatalogue(before, options)
  t.equal(await write(plan, more, { update: true, precision: 'int8' }), 300 - overlapOf(first, more))
  const after = (await readCatalogue(plan))!
  t.not(after.folder, before.folder)
  t.same(
    (await readdir(plan.folder)).filter((name) => name.startsWith('catalogue-')).sort(),
    [after.description.folder, 'catalogue-float32.json'].sort(),
  )
  const parts = await openCandidateParts(plan)
  const updated = await openCatalogue(after, options)
  for (const batch of [first, more])
    t.same(await updated.fetch(parts.keys(batch), Int32Array.from(range(batch.rows)), () => undefined), [])
  // Who has the old one mapped keeps it.
  t.same(await inUse.fetch(parts.keys(first), Int32Array.from(range(120)), () => undefined), [])
  for (const { close } of [updated, inUse, parts]) await close()
})

/** Candidates of the one that are in the other. */
function overlapOf(a: Batch, b: Batch): number {
  const keyOf = ({ inputs }: Batch, row: number) =>
    Object.entries(inputs)
      .flatMap(([name, values]) => {
        const sides = sidesOf(model)[name]!
        return sides.flatMap((side, column) => (side === 'candidate' ? [values[row * sides.length + column]!] : []))
      })
      .join()
  const known = new Set(range(a.rows).map((row) => keyOf(a, row)))
  return range(b.rows).filter((row) => known.has(keyOf(b, row))).length
}

t.test('a catalogue that is damaged, incomplete or of another plan says so', async (t) => {
  const damage: [string, RegExp, (folder: string, plan: CompiledPlan) => Promise<unknown>][] = [
    ['rows.bin is missing', /rows\.bin is missing/, (folder) => rm(join(folder, 'rows.bin'))],
    ['rows.bin is cut off', /rows\.bin has 1000 bytes, not/, (folder) => truncate(join(folder, 'rows.bin'), 1000)],
    ['rows.bin is changed', /rows\.bin is damaged/, (folder) => spoil(join(folder, 'rows.bin'))],
    ['index.bin is changed', /index\.bin is damaged/, (folder) => spoil(join(folder, 'index.bin'))],
    ['the graph is changed', /catalogue\.onnx is damaged/, (folder) => spoil(join(folder, 'catalogue.onnx'))],
    ['the folder is gone', /is missing/, (folder) => rm(folder, { recursive: true })],
    [
      'the description is half written',
      /catalogue-float32\.json is damaged/,
      (_, plan) => truncate(join(plan.folder, 'catalogue-float32.json'), 300),
    ],
    ['another plan', /made for another plan/, (_, plan) => change(plan, (own) => ({ ...own, plan: 'another' }))],
    ['other widths', /made for another plan/, (_, plan) => change(plan, (own) => ({ ...own, widths: [1] }))],
    ['another format', /has format 99, not 1/, (_, plan) => change(plan, (own) => ({ ...own, format: 99 }))],
    ['no object', /has format undefined/, (_, plan) => change(plan, () => null)],
    ['rows that the index lacks', /index\.bin is damaged/, (_, plan) => change(plan, (own) => ({ ...own, rows: 9 }))],
  ]
  for (const [what, message, spoilIt] of damage) {
    const plan = await own(t, float32)
    await write(plan, candidates)
    await spoilIt((await readCatalogue(plan))!.folder, plan)
    await t.rejects(readCatalogue(plan), { message }, what)
  }
  const plan = await own(t, float32)
  t.equal(await readCatalogue(plan), undefined, 'none is no problem')
  await write(plan, candidates)
  t.equal(await readCatalogue({ ...plan, precision: 'int8' }).catch(() => 'x'), undefined, 'of the other precision')
})

async function spoil(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes[bytes.length >> 1]! ^= 0x55
  await writeFile(path, bytes)
}

async function change(plan: CompiledPlan, edit: (own: CatalogueDescription) => unknown): Promise<void> {
  const path = join(plan.folder, 'catalogue-float32.json')
  const description = unseal(await readFile(path, 'utf8'), 'it') as CatalogueDescription
  await writeFile(path, seal(edit(description)))
}

t.test('a plan says why it does not use a catalogue, and answers without', async (t) => {
  const plan = await own(t, float32)
  await write(plan, candidates)
  const ready = (await readCatalogue(plan))!
  const batch = requestOf(candidates, range(30))
  const expected = await savedAnswers(buildModel(model), batch)
  const try_ = async (source: CompiledPlan, bytes: number, with_: typeof ready, reason: RegExp) => {
    const open = await openPlan(source, options, bytes)
    t.match(await open.addCatalogue(with_), reason)
    for (let i = 0; i < 3; i++) t.ok(distance(await open.run(batch), expected) <= 1e-5)
    t.equal(open.stats().catalogue, undefined)
    await open.close()
  }
  const dear = { ...costs, cached: { a: 100, b: 100 } }
  await try_({ ...plan, costs: dear }, 1 << 20, ready, /do not pay on this machine/)
  await try_(plan, 0, ready, /the candidate cache is off/)
  await try_(plan, 100, ready, /has no room/)
  const { description } = ready
  await try_(plan, 1 << 20, { ...ready, description: { ...description, keyWords: 2 } }, /another version of ONNX/)
  await try_(plan, 1 << 20, { ...ready, folder: join(plan.folder, 'none') }, /catalogue\.onnx/)
})

t.test('a catalogue that fails while it serves is given up; its candidates are computed', async (t) => {
  const plan = await own(t, float32)
  await write(plan, candidates)
  const ready = (await readCatalogue(plan))!
  // Slots beyond the rows, as no file that passed its checks has.
  const index = ready.index.map((word, i) => (i % 2 === 0 && word !== 0 ? word + 100_000 : word))
  const open = await openPlan(plan, options, 1 << 20)
  t.equal(await open.addCatalogue({ ...ready, index }), undefined)
  const batch = requestOf(candidates, range(30))
  const expected = await savedAnswers(buildModel(model), batch)
  for (let i = 0; i < 3; i++) t.ok(distance(await open.run(batch), expected) <= 1e-5)
  t.match(open.stats(), { catalogue: { hits: 0 }, rows: { cached: 90 } })
  await open.close()
})

t.test('what was there stays where the disk is full, or the writer is given up', async (t) => {
  const plan = await own(t, float32)
  await write(plan, rowsOf(model, 50, 1))
  const before = await readdir(plan.folder)
  const parts = await openCandidateParts(plan)
  const { keyWords } = parts
  const writer = await CatalogueWriter.create({ plan, keyWords, precision: 'float32', now: 1e12, base: undefined })
  t.ok(writer.claim(parts.keys(candidates), 0))
  await t.rejects(writer.finish(), { code: 'MODEL_FAILED', message: /1 candidates have the values of 0/ })
  const other = await CatalogueWriter.create({ plan, keyWords, precision: 'int8', now: 1e12, base: undefined })
  await other.abort()
  await other.abort()
  await parts.close()
  t.same(await readdir(plan.folder), before)

  const disk = join(await temporaryFolder(t), 'disk')
  await mkdir(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.pass('a full disk', { skip: 'no file system can be mounted here' })
  }
  t.teardown(() => execFileSync('umount', [disk]))
  await cp(plan.folder, disk, { recursive: true, preserveTimestamps: true })
  const small = { ...plan, folder: disk }
  await t.rejects(write(small, rowsOf(model, 5000, 4)), {
    code: 'MODEL_FAILED',
    message: /^the catalogue can't be written beside the plan in .*, which is as before: ENOSPC/,
  })
  t.same((await readdir(disk)).sort(), before.sort())
  t.equal((await readCatalogue(small))!.description.rows, 50)
})
