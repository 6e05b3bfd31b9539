import t from 'tap'
import type { TrainField } from '../../../src/schemas/train-fields.ts'
import { columnOf } from '../../../src/tools/data/columns.ts'
import { encodeRows } from '../../../src/tools/data/encode-rows.ts'
import type { Cell } from '../../../src/tools/data/source.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { fitFields } from '../../../src/tools/train/fit-fields.ts'

const place = (row: number) => `line ${row + 1}`
const rows = (...values: number[]) => Int32Array.from(values)
const common = { side: 'candidate' as const }

t.test('vocabularies come from the training rows alone', async (t) => {
  const field: TrainField = {
    ...common,
    name: 'c',
    kind: 'vocabulary',
    min_count: 2,
    out_of_vocabulary: 'bucket',
    missing: { default: '?' },
  }
  const cells = [['b', 'a', 'b', 'a', null, null, 'rare', 'later', 'later']]
  const { fields, problems } = fitFields([field], cells.map(columnOf), rows(0, 1, 2, 3, 4, 5, 6))
  t.same(problems, [])
  t.match(fields[0], { kind: 'vocabulary', values: ['?', 'a', 'b'], missing: { default: '?' } })
  const { encoded } = encodeRows(fields, cells.map(columnOf), rows(0, 1, 4, 6, 7), place)
  t.same([...encoded.sparse], [3, 2, 1, 0, 0], 'unknown values share the first id')
})

t.test('a vocabulary without values is refused', async (t) => {
  const field: TrainField = {
    ...common,
    name: 'c',
    kind: 'vocabulary',
    min_count: 2,
    out_of_vocabulary: 'bucket',
    missing: 'error',
  }
  const { problems } = fitFields([field], [['a', 'b']].map(columnOf), rows(0, 1))
  t.match(problems, [{ path: '/fields/0', message: /no value/ }])
})

t.test('scaling comes from the training rows alone', async (t) => {
  const numeric = (scaling: 'standard' | 'min_max' | 'log1p' | 'none'): TrainField => ({
    ...common,
    name: scaling,
    kind: 'numeric',
    scaling,
    missing: { default: 3 },
  })
  const column = [1, null, 5, 1000]
  const methods = ['standard', 'min_max', 'log1p', 'none'] as const
  const cells = methods.map(() => column)
  const { fields } = fitFields(methods.map(numeric), cells.map(columnOf), rows(0, 1, 2))
  const deviation = Math.sqrt(8 / 3)
  t.match(fields[0], { scaling: { method: 'standard', mean: 3, deviation, range: [1, 5] } })
  t.match(fields[1], { scaling: { method: 'min_max', min: 1, max: 5 } })
  t.match(fields[3], { scaling: { method: 'none' } })
  const { encoded } = encodeRows(fields, cells.map(columnOf), rows(1, 2), place)
  t.equal(encoded.denseFields, 4)
  t.same([...encoded.dense].slice(0, 2), [0, 0.5])
  t.equal(encoded.dense[3], 3)
  t.same([...encoded.dense].slice(4, 6), [Math.fround(2 / deviation), 1])
})

t.test('numbers are clipped to the range of the training rows, unless the spec says otherwise', async (t) => {
  const field: TrainField = { ...common, name: 'x', kind: 'numeric', scaling: 'standard', clip: true, missing: 'error' }
  const column = columnOf([1, 3, 5, 1000])
  const encodedBy = (clip: boolean) => {
    const { fields } = fitFields([{ ...field, clip }], [column], rows(0, 1, 2))
    return [...encodeRows(fields, [column], rows(2, 3), place).encoded.dense]
  }
  const [end, beyond] = encodedBy(true) as [number, number]
  t.ok(beyond > end && beyond < end * 1.000001, `${beyond}`)
  const deviation = Math.sqrt(8 / 3)
  t.same(encodedBy(false), [Math.fround(2 / deviation), Math.fround(997 / deviation)])
})

t.test('columns that never vary keep their scale', async (t) => {
  const numeric = (scaling: 'standard' | 'min_max' | 'log1p'): TrainField => ({
    ...common,
    name: scaling,
    kind: 'numeric',
    scaling,
    missing: 'error',
  })
  const methods = ['standard', 'min_max', 'log1p'] as const
  const constant = fitFields(
    methods.map(numeric),
    [
      [2, 2],
      [2, 2],
      [2, 2],
    ].map(columnOf),
    rows(0, 1),
  ).fields
  t.match(constant[0], { scaling: { mean: 2, deviation: 1, range: [2, 2] } })
  t.match(constant[1], { scaling: { min: 2, max: 3 } })
  t.match(constant[2], { scaling: { scale: 1 } })
  const empty = fitFields(methods.map(numeric), [[null], [null], [null]].map(columnOf), rows(0)).fields
  t.match(empty[0], { scaling: { mean: 0, deviation: 1 } })
})

t.test('hashes are the ones asked for; the default is not written, which older releases would refuse', async (t) => {
  const hash = { ...common, kind: 'hash', buckets: 4, missing: 'error' } as const
  const asked: TrainField[] = [
    { ...hash, name: 'a', seed: 1 },
    { ...hash, name: 'b', hash: 'murmur3', seed: 1 },
    { ...hash, name: 'c', hash: 'farmhash64' },
    { ...hash, name: 'd', hash: 'xxhash64', seed: 42 },
  ]
  const { fields } = fitFields(asked, [['x'], ['x'], ['x'], ['x']].map(columnOf), rows(0))
  const murmur = '{"name":"a","side":"candidate","kind":"hash","buckets":4,"seed":1,"missing":"error"}'
  t.equal(JSON.stringify(fields[0]), murmur)
  t.equal(JSON.stringify(fields[1]), murmur.replace('"a"', '"b"'))
  t.same(fields.slice(2), asked.slice(2))
})

t.test('cells that a request could not hold either are told with their place', async (t) => {
  const fields: TrainField[] = [
    { ...common, name: 'h', kind: 'hash', buckets: 4, seed: 0, missing: 'error' },
    { ...common, name: 'i', kind: 'integer', size: 3, out_of_vocabulary: 'error', missing: 'error' },
    { ...common, name: 'x', kind: 'numeric', scaling: 'log1p', missing: 'error' },
  ]
  const cells: Cell[][] = [
    ['a', null],
    [1, 3],
    [0, -1],
  ]
  const fitted = fitFields(fields, cells.map(columnOf), rows(0, 1)).fields
  t.same(encodeRows(fitted, cells.map(columnOf), rows(0, 1), place).problems.list(), [
    { path: '/fields/0', message: 'line 2: h is required: the field has no default' },
    { path: '/fields/1', message: 'line 2: i must be from 0 to 2' },
    { path: '/fields/2', message: 'line 2: x must be greater than −1' },
  ])
  const checks = readingsOf(fields)
  t.same(
    cells.map((column, field) => column.map((cell) => checks[field]!.problemOf!(cell))),
    [
      [undefined, 'is required: the field has no default'],
      [undefined, 'must be from 0 to 2'],
      [undefined, 'must be greater than −1'],
    ],
    'these are found before fitting too',
  )
  const { encoded } = encodeRows(fitted, cells.map(columnOf), rows(0), place)
  t.equal(encoded.sparse[1], 4 + 1, 'the second field comes after the first one')
})

t.test('numbers whose spread no number holds are refused, where their list was made too', async (t) => {
  const numeric = (name: string): TrainField => ({
    name,
    side: 'candidate',
    kind: 'numeric',
    scaling: 'standard',
    missing: 'error',
  })
  const history = { name: 'history', of: ['price'], by: 'user', order: 'time', last: 3, outcomes: [{ name: 'gain' }] }
  const fields = ['price', 'history_price', 'history_gain'].map(numeric)
  const { problems } = fitFields(
    fields,
    fields.map(() => columnOf([-1e308, 1e308])),
    rows(0, 1),
    history,
  )
  t.same(problems, [
    { path: '/fields/0', message: 'price has numbers too large to be scaled in the training rows' },
    { path: '/history', message: 'history_price has numbers too large to be scaled in the training rows' },
    { path: '/history', message: 'history_gain has numbers too large to be scaled in the training rows' },
  ])
  t.same(
    fitFields(
      fields,
      fields.map(() => columnOf([-1e38, 1e38])),
      rows(0, 1),
      history,
    ).problems,
    [],
  )
})
