import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import { flattenRows } from '../../../../src/model/serving/features/number-matrix.ts'
import { Violations } from '../../../../src/model/serving/features/problems.ts'
import { gatherTensors } from '../../../../src/model/serving/prediction/encode-inputs.ts'
import type { InputTensor } from '../../../../src/model/serving/prediction/tensors.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

/*
 * The search for what is wrong ends at the hundredth problem: what is visited is counted.
 */

const { rows, columns, tensors } = createEncoder(exampleManifest().features)
const options: EncodeOptions = { maxRows: 10_000, partial: false }
const partial: EncodeOptions = { ...options, partial: true }
const count = 10_000
const good = { campaign: 'c1', price: 10 }

/** Elements of an array that are looked at. */
function counted<T>(length: number, value: T): { all: T[]; visits(): number } {
  let visited = 0
  const all = new Proxy(new Array<T>(length).fill(value), {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) visited++
      return Reflect.get(target, key)
    },
  })
  return { all, visits: () => visited }
}

/** An object of so many names, whose values are counted when they are read. */
function countedNames(length: number, value: unknown): { object: Record<string, unknown>; reads(): number } {
  let reads = 0
  const object: Record<string, unknown> = {}
  for (let i = 0; i < length; i++) {
    Object.defineProperty(object, `name ${i}`, {
      enumerable: true,
      get() {
        reads++
        return value
      },
    })
  }
  return { object, reads: () => reads }
}

for (const [what, bad] of Object.entries({
  'no object': null,
  'of a wrong type': { ...good, price: 'x' },
  'with an unknown field': { ...good, colour: 1 },
  'with an id that is none': { ...good, id: [] },
})) {
  t.test(`by row: candidates ${what}`, async (t) => {
    const { all, visits } = counted<unknown>(count, bad)
    t.equal(problemsOf(() => rows({ hour: 1 }, all, options)).length, 100)
    t.equal(visits(), 100)
  })
}

t.test('by row: candidates without fields that others have', async (t) => {
  const { all, visits } = counted<unknown>(count, {})
  all[1] = good
  t.equal(problemsOf(() => rows({ hour: 1 }, all, options)).length, 100)
  // Once to find out that some candidate has the fields, at most two of them.
  t.ok(visits() < 120, `${visits()} visited`)
})

t.test('by row: names of one candidate, and of the context', async (t) => {
  for (const asked of [options, partial]) {
    const context = countedNames(count, 1)
    t.equal(problemsOf(() => rows(context.object, [good], asked)).length, 100)
    t.equal(context.reads(), 100)
  }
  const candidate = countedNames(count, 1)
  t.equal(problemsOf(() => rows({ hour: 1 }, [candidate.object], options)).length, 100)
  t.equal(candidate.reads(), 100)
})

t.test(
  'by row, in part: each row is looked at, and of a bad one no more than is listed, or the first problem',
  async (t) => {
    const bad = countedNames(1000, 1)
    const encoded = rows({ hour: 1 }, [bad.object, bad.object, good, bad.object], partial)
    t.equal(encoded.problems.length, 100)
    t.same([...(encoded.index ?? [])], [2])
    // Each read may be one beyond the problem that ended it.
    t.ok(bad.reads() <= 103, `${bad.reads()} read`)
  },
)

t.test('by column: names and cells', async (t) => {
  const names = countedNames(count, 1)
  t.equal(problemsOf(() => columns({ hour: 1 }, names.object, options)).length, 100)
  t.equal(names.reads(), 100)
  for (const name of ['price', 'campaign', 'id', 'bid']) {
    const cells = counted<unknown>(count, [])
    const other = { campaign: new Array(count).fill('c1'), price: new Array(count).fill(1) }
    t.equal(problemsOf(() => columns({ hour: 1 }, { ...other, [name]: cells.all }, options)).length, 100, name)
    t.equal(cells.visits(), 100, name)
  }
})

t.test('tensors: rows and cells', async (t) => {
  for (const bad of [null, [1], [1, 2, 3, 'x']]) {
    const sparse = counted<unknown>(count, bad)
    t.equal(problemsOf(() => tensors(sparse.all, new Array(count).fill([1, 2]), options)).length, 100)
    t.ok(sparse.visits() <= 101, `${sparse.visits()} visited`)
  }
})

t.test('nested arrays: rows, and numbers of a row', async (t) => {
  const bad = counted<unknown>(count, ['x'])
  t.equal(problemsOf(() => flattenRows(bad.all, [1], '/inputs/a', new Violations())).length, 100)
  // Twice: first as if they were plain numbers.
  t.ok(bad.visits() <= 103, `${bad.visits()} visited`)
  const wide = counted<unknown>(count, null)
  t.equal(problemsOf(() => flattenRows([wide.all], [count], '/inputs/a', new Violations())).length, 100)
  t.ok(wide.visits() <= 103, `${wide.visits()} visited`)
})

t.test('tensors by name: names', async (t) => {
  const inputs: InputTensor[] = [{ name: 'a', dtype: 'float32', dims: [1], width: 1, role: 'dense', column: 0 }]
  let visited = 0
  const given = new Proxy(
    {},
    {
      ownKeys: () => Array.from({ length: count }, (_, i) => `name ${i}`),
      getOwnPropertyDescriptor(_, key) {
        visited++
        return { value: 1, enumerable: true, configurable: true, key }
      },
    },
  )
  t.equal(problemsOf(() => gatherTensors(inputs, given)).length, 100)
  t.ok(visited <= 101, `${visited} visited`)
})
