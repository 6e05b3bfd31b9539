import t from 'tap'
import type { Field } from '../../../src/schemas/features.ts'
import { columnOf } from '../../../src/tools/data/columns.ts'
import { encodeParts, encodeRows } from '../../../src/tools/data/encode-rows.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { RowProblems } from '../../../src/tools/data/source.ts'
import { splitRows } from '../../../src/tools/data/split.ts'

const place = (row: number) => `line ${row + 1}`
const common = { side: 'candidate' as const }
const fields: Field[] = [
  { ...common, name: 'word', kind: 'hash', buckets: 50, seed: 0, missing: { default: '' } },
  {
    ...common,
    name: 'size',
    kind: 'numeric',
    scaling: { method: 'standard', mean: 1, deviation: 2 },
    missing: 'error',
  },
  { ...common, name: 'hour', kind: 'integer', size: 24, out_of_vocabulary: 'bucket', missing: { default: 3 } },
]
const rows = 140_000

function columns() {
  const random = createRandom(4)
  const draw = <T>(value: () => T) => Array.from({ length: rows }, value)
  return [
    columnOf(draw(() => (random.uniform() < 0.1 ? null : `w${random.integer(500)}`))),
    columnOf(draw(() => random.uniform())),
    columnOf(draw(() => (random.uniform() < 0.1 ? null : random.integer(30)))),
  ]
}

t.test('parts are encoded as their rows are, and cells of other rows are let go', async (t) => {
  const shares = { train: 0.6, validation: 0.2, test: 0.2 }
  for (const split of [{ by: 'order' as const }, { by: 'random' as const, seed: 1 }]) {
    const parts = splitRows(split, shares, rows)
    const cells = columns()
    const expected = Object.values(parts).map((part) => encodeRows(fields, cells, part, place).encoded)
    const problems = new RowProblems()
    const encoded = encodeParts(fields, { cells, parts, place, rows }, [parts.test], { problems, ownIds: false })
    t.same(problems.list(), [])
    t.strictSame(Object.values(encoded), expected)
    t.ok(encoded.train.sparse.buffer instanceof SharedArrayBuffer, 'threads can share them')
    const whole = columns()
    t.ok(cells.every((column, i) => parts.test.every((row) => Object.is(column.at(row), whole[i]!.at(row)))))
    for (const column of cells) t.throws(() => column.at(parts.train[1]!), /was let go/)
  }
})

t.test('all cells stay for others where none are named', (t) => {
  const parts = splitRows({ by: 'order' }, { train: 0.6, validation: 0.2, test: 0.2 }, rows)
  const cells = columns()
  const [once, again] = [0, 1].map(() =>
    encodeParts(fields, { cells, parts, place, rows }, undefined, { problems: new RowProblems(), ownIds: false }),
  )
  t.strictSame(once, again)
  for (const column of cells) t.doesNotThrow(() => column.at(parts.train[1]!))
  t.end()
})

t.test('cells that do not fit are named with their row', async (t) => {
  const parts = { train: Int32Array.of(0, 1), validation: Int32Array.of(2), test: Int32Array.of(3) }
  const cells = [columnOf(['a', 'b', 'c', 'd']), columnOf([1, null, 3, 4]), columnOf([1, 2, 3, 4.5])]
  const problems = new RowProblems()
  encodeParts(fields, { cells, parts, place, rows: 4 }, [], { problems, ownIds: false })
  t.match(problems.list(), [
    { path: '/fields/1', message: /^line 2: size is required/ },
    { path: '/fields/2', message: /^line 4: hour / },
  ])
})
