import t from 'tap'
import type { Manifest } from '../../../src/schemas/manifest.ts'
import { continuedSpec } from '../../../src/tools/train/continued-spec.ts'

const manifest = {
  name: 'shop',
  description: 'A shop',
  features: [
    {
      name: 'colour',
      side: 'candidate',
      kind: 'vocabulary',
      values: ['red'],
      out_of_vocabulary: 'bucket',
      missing: 'error',
    },
    { name: 'size', side: 'context', kind: 'numeric', scaling: { method: 'log1p', scale: 2 }, missing: 'error' },
  ],
  crossed: [{ name: 'both', of: ['colour', 'hour'], buckets: 9, seed: 0 }],
  tasks: [{ name: 'click', calibration: { method: 'platt', a: 1, b: 0 } }, { name: 'sale' }],
  derived: [{ name: 'buy', product: ['click', 'sale'], calibration: { method: 'isotonic', x: [0, 1], y: [0, 1] } }],
  precision: 'auto',
  tables: 'float16',
  provenance: { field_options: { size: { column: 'width' } }, tasks: { sale: { label: 'sold == "1"', weight: 0.5 } } },
} as unknown as Manifest

const data = { csv: ['a.csv'] }
const continued = (written: object) => continuedSpec(written, manifest) as Record<string, any>

t.test('rows alone are a spec: the rest is the version’s', async (t) => {
  const spec = continued({ data })
  t.match(spec, {
    ...{ data, name: 'shop', description: 'A shop', precision: 'auto', tables: 'float16', training: {} },
    split: { by: 'random', train: 0.8, validation: 0.1, test: 0.1 },
  })
  t.same(spec.fields, [
    { name: 'colour', side: 'candidate', kind: 'vocabulary', out_of_vocabulary: 'bucket', missing: 'error' },
    { name: 'size', side: 'context', kind: 'numeric', scaling: 'log1p', missing: 'error', column: 'width' },
    { name: 'both', of: ['colour', 'hour'], buckets: 9, seed: 0, kind: 'crossed' },
  ])
  t.same(spec.tasks, [
    { name: 'click', calibration: 'platt', label: 'double(click)' },
    { name: 'sale', label: 'sold == "1"', weight: 0.5 },
  ])
  t.same(spec.derived, [{ name: 'buy', product: ['click', 'sale'], calibration: 'isotonic' }])
})

t.test('what the spec says is added to what the version knows', async (t) => {
  const spec = continued({
    ...{ data: { csv: ['a.csv'], test: { files: ['b.csv'] } }, group: 'user', precision: 'float32' },
    fields: [{ name: 'size', expression: 'double(w)' }],
    tasks: [{ name: 'sale', where: 'click == "1"' }],
    derived: [{ name: 'buy', calibration: 'platt' }],
  })
  t.match(spec, { precision: 'float32', split: { by: 'group', train: undefined } })
  t.same(
    spec.fields.map(({ name, column, expression }: any) => [name, column, expression]),
    [
      ['size', undefined, 'double(w)'],
      ['colour', undefined, undefined],
      ['both', undefined, undefined],
    ],
  )
  t.match(spec.tasks, [{ name: 'click' }, { name: 'sale', label: 'sold == "1"', where: 'click == "1"' }])
  t.match(spec.derived, [{ name: 'buy', product: ['click', 'sale'], calibration: 'platt' }])
  const files = { csv: ['a.csv'], validation: { files: ['b.csv'] }, test: { files: ['c.csv'] } }
  t.equal(continued({ data: files }).split, undefined)
})

t.test('a name that the version does not have is refused, unless the spec defines it', async (t) => {
  t.throws(() => continued({ data, fields: [{ name: 'colur', column: 'c' }] }), {
    code: 'INVALID_REQUEST',
    message:
      '/fields: "colur" is not in the version that training goes on from, which has colour, size, both; did you mean colour?',
  })
  t.throws(() => continued({ data, derived: [{ name: 'by', calibration: 'platt' }] }), {
    message: /^\/derived: "by" is not/,
  })
  t.equal(
    continued({ data, tasks: [{ name: 'view', label: 'v == "1"' }] }).tasks.length,
    3,
    'the check that follows refuses it',
  )
  t.equal(continued({ data, fields: 3 }).fields, 3)
})

t.test('a history of other lists than the version’s is refused, by its place in the spec', async (t) => {
  const history = { of: ['colour'], by: 'user', order: 'time', last: 3 }
  const named = (name: string) => ({ ...manifest.features[0]!, name })
  const features = [...manifest.features, named('history_colour'), named('history_age')]
  const history_of = { ...history, name: 'history', ages: 'age' }
  const before = { ...manifest, version: '7', features, provenance: { history_of } } as Manifest
  const lists =
    (changes: object, more: object = {}) =>
    () =>
      continuedSpec({ data, history: { ...history, ages: 'age', ...changes }, ...more }, before)
  const makes = 'where that of shop/7 makes history_colour, history_age'
  t.throws(lists({ name: 'seen' }), {
    code: 'INVALID_REQUEST',
    message: `/history/name: the history makes the lists seen_colour, seen_age, ${makes}`,
  })
  const { message } = t.throws(lists({ of: ['colour', 'size'] })) as Error
  t.match(message, `/history/of: the history makes the lists history_colour, history_size, history_age, ${makes}`)
  t.throws(lists({ ages: undefined }), {
    message: `/history/ages: the history makes the lists history_colour, ${makes}`,
  })
  t.throws(lists({ outcomes: [{ name: 'stars' }] }), { message: /^\/history\/outcomes: / })
  t.throws(() => continuedSpec({ data, history }, { ...manifest, version: '7' }), {
    message: '/history: the history makes the lists history_colour, where shop/7 has no such fields',
  })
  t.doesNotThrow(lists({}))
  t.doesNotThrow(lists({ ages: undefined }, { fields: [{ name: 'history_age' }] }), 'its list is a column')
  t.doesNotThrow(lists({ of: 'colour' }), 'the check that follows refuses it')
})
