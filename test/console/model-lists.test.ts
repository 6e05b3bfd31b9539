import t from 'tap'
import { describeField, describeSeveral } from '../../src/console/pages/models/describe-several.ts'
import { describeObservations, rowsOf, subjectOf, summaryOf } from '../../src/console/pages/models/drift-rows.ts'
import type { VersionDistributions } from '../../src/schemas/model-versions.ts'
import type { FieldDetails } from '../../src/schemas/models.ts'

/* Lists and vectors in the pages of models, as far as they need no browser. */

const field = (name: string, more: Partial<FieldDetails>): FieldDetails => ({
  name,
  side: 'context',
  kind: 'vocabulary',
  type: 'string',
  required: false,
  missing: 'default',
  default: [],
  encoding: {},
  ...more,
})
const history = field('history', {
  list: { max: 50, keep: 'last' },
  sequence: 'views',
  table: 'item',
  out_of_vocabulary: 'drop',
})
const tags = field('tags', { list: { max: 1, weighted: true } })
const image = field('image', { kind: 'vector', type: 'number', length: 64 })
const country = field('country', { default: 'DE' })
const fields = [country, history, tags, image]

const bins = [
  { label: 'a', value: 'a', then: 0.5, now: 0 },
  { label: 'unknown values', then: 0.3, now: 0 },
  { label: 'all other values', then: 0.2, now: 0 },
]
const lengthBins = [
  { label: '0 to 2', high: 2, then: 0.1, now: 0 },
  { label: '3 to 9', low: 2, high: 9, then: 0.8, now: 0 },
  { label: '10 or more', low: 9, then: 0.1, now: 0 },
]
const measured = { reference: true, psi: 0.01, observations: 600, bins }
const none = { reference: false, psi: null, observations: 0, bins: [] }
const lengths = { ...measured, psi: 0.3, bins: lengthBins }
const distributions: VersionDistributions = {
  model: 'shop',
  version: '1',
  fields: [
    { name: 'country', unknown: 0, ...none },
    { name: 'history', unknown: 7, ...measured, lengths },
    { name: 'tags', unknown: 0, ...none },
    { name: 'image', unknown: 0, ...none },
  ],
  tasks: [{ name: 'ctr', ...measured, psi: 0.2 }],
}

t.test('a list drifts by its values and by its length, with a reference and without', async (t) => {
  const rows = rowsOf(distributions, fields)
  t.same(
    rows.map(({ kind, name, psi }) => [kind, name, psi]),
    [
      ['length', 'history', 0.3],
      ['task', 'ctr', 0.2],
      ['values', 'history', 0.01],
      ['field', 'country', null],
      ['values', 'tags', null],
      ['length', 'tags', null],
      ['vector', 'image', null],
    ],
  )
  t.equal(summaryOf(rows), 'Of 3 fields, lengths of lists and tasks: 1 drifted, 1 moved, 1 steady.')
  t.same(rows.slice(0, 4).map(subjectOf), ['lengths of history', 'ctr', 'values of history', 'country'])
  t.same(rows[0]!.bins, lengthBins)
  t.same(rows.map(describeObservations), [
    '600 recent lists.',
    '600 recent values.',
    '600 recent values. 7 values were outside the vocabulary or range; they are left out.',
    'The version has nothing to compare it with.',
    'The version has nothing to compare it with.',
    'The version has nothing to compare it with.',
    'Vectors are not compared.',
  ])
  const [, ctr] = rows
  t.equal(
    describeObservations({ ...ctr!, observations: 20, unknown: 1 }),
    '20 recent values, of which an index needs 500. 1 values were outside the vocabulary or range; the network treats them all alike.',
  )
})

t.test('without lists, drift is of fields and tasks', async (t) => {
  const rows = rowsOf({ ...distributions, fields: distributions.fields.slice(0, 1) }, fields)
  t.equal(summaryOf(rows), 'Of 1 fields and tasks: 1 moved.')
})

t.test('a list says how it is, and how it was in the reference', async (t) => {
  t.same(describeSeveral(history, { bins, lengths }), [
    'list of at most 50; of a longer one the last are kept',
    'in the sequence views: as long as its other lists',
    'shares the table of item',
    'in the test rows mostly 2 to 9 values',
    'most frequent there: a 50%',
  ])
  t.same(describeSeveral(tags, undefined), [
    'list of at most 1, with a weight each; of a longer one the first are kept',
  ])
  const always = [lengthBins[0]!, { label: '3 or more', low: 2, then: 0, now: 0 }]
  t.same(describeSeveral(tags, { bins: [], lengths: { ...lengths, bins: always } }).slice(1), [
    'in the test rows mostly 2 values',
  ])
  t.same(describeSeveral(country, { bins }), [])
  t.same(describeSeveral(field('last', { table: 'item' }), undefined), ['shares the table of item'])
})

t.test('a field in a line, to compare', async (t) => {
  t.equal(
    describeField(history),
    'context, vocabulary, list of at most 50; of a longer one the last are kept, in the sequence views: as long as its other lists, shares the table of item, default an empty list',
  )
  t.equal(describeField({ ...image, required: true }), 'context, vector, 64 numbers, required')
  t.equal(describeField(country), 'context, vocabulary, default DE')
})
