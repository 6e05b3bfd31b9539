import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

const { rows, columns } = createEncoder(exampleManifest().features)
const options: EncodeOptions = { maxRows: 1000, partial: false }
const partial: EncodeOptions = { ...options, partial: true }
const candidate = { campaign: 'c1', price: 10 }
const many = <T>(value: T): T[] => Array.from({ length: 100 }, () => value)
const problems = (context: unknown, candidates: unknown, asked = options) =>
  problemsOf(() => rows(context, candidates, asked))

t.test('a forgotten context is one problem, where the context should be', async (t) => {
  t.same(problems(undefined, many(candidate)), ['/context/hour is required: the field has no default'])
  t.same(problems(undefined, [candidate]), ['/context/hour is required: the field has no default'])
})

t.test('in part, too: it spoils every row', async (t) => {
  const bad = [{ ...candidate, price: 'x' }, ...many(candidate)]
  t.same(problems(undefined, bad, partial), ['/context/hour is required: the field has no default'])
})

t.test("a candidate's field that no candidate has is one problem", async (t) => {
  t.same(problems({ hour: 1 }, many({ campaign: 'c1' })), [
    '/candidates/0/price is required: the field has no default; none of the 100 candidates has it',
  ])
})

t.test('bids that no candidate has are one problem', async (t) => {
  t.same(problems({ hour: 1 }, many(candidate), { ...options, bids: true }), [
    '/candidates/0/bid is required to rank by ecpm; none of the 100 candidates has it',
  ])
  t.same(problems({ hour: 1 }, [candidate], { ...options, bids: true }), [
    '/candidates/0/bid is required to rank by ecpm',
  ])
})

t.test('what else is wrong with the rows is reported beside', async (t) => {
  t.same(problems(undefined, [null, { price: 1 }, { price: 'x' }]), [
    '/candidates/0 must be an object, not null',
    '/context/hour is required: the field has no default',
    '/candidates/1/campaign is required: the field has no default; none of the 3 candidates has it',
    '/candidates/2/price must be a number, not a string',
  ])
})

t.test('a field of the context that some candidates have is missing in the others', async (t) => {
  t.same(problems(undefined, [candidate, { ...candidate, hour: 1 }, candidate]), [
    '/candidates/0/hour is required: the field has no default',
    '/candidates/2/hour is required: the field has no default',
  ])
})

t.test("in part, a candidate's field that no candidate has is each row's problem", async (t) => {
  const encoded = rows({ hour: 1 }, [{ campaign: 'c1' }, { campaign: 'c2' }], partial)
  t.equal(encoded.rows, 0)
  t.same(encoded.problems, [
    { path: '/candidates/0/price', message: 'is required: the field has no default' },
    { path: '/candidates/1/price', message: 'is required: the field has no default' },
  ])
})

t.test('by column a missing field is reported on its own side', async (t) => {
  t.same(
    problemsOf(() => columns(undefined, { price: [1, 2] }, options)),
    [
      '/context/hour is required: the field has no default',
      '/candidates/campaign is required: the field has no default',
    ],
  )
})

t.test('problems of the context do not hide those of columns, nor either those found before', async (t) => {
  const { Violations } = await import('../../../../src/model/serving/features/problems.ts')
  const found = () => new Violations([{ path: '/options/raw', message: 'must be true or false' }])
  t.same(
    problemsOf(() =>
      columns({ hour: 99 }, { campaign: ['c1', 'c9'], price: [1, 'x'] }, { ...partial, problems: found() }),
    ),
    [
      '/options/raw must be true or false',
      '/context/hour must be from 0 to 23',
      '/candidates/campaign/1 is not in the field\'s vocabulary: "c9"',
      '/candidates/price/1 must be a number, not a string',
    ],
  )
  t.same(problems({ hour: 1 }, [{ ...candidate, price: 'x' }], { ...partial, problems: found() }), [
    '/options/raw must be true or false',
    '/candidates/0/price must be a number, not a string',
  ])
})
