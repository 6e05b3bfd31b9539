import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodedRequest, EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import type { Field } from '../../../../src/schemas/features.ts'
import { fc } from '../../../support/cases.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const { features } = exampleManifest()
const encoder = createEncoder(features)
const options: EncodeOptions = { maxRows: 1000, partial: false }

t.test('sparse fields share one id space, each after the other', async (t) => {
  const { layout } = encoder
  t.same(
    layout.sparse.map(({ field, offset, ids }) => [field.name, offset, ids]),
    [
      ['country', 0, 3],
      ['hour', 3, 24],
      ['campaign', 27, 3],
      ['creative', 30, 50],
    ],
  )
  t.equal(layout.ids, 80)
})

t.test('sparse and numeric fields are columns of their own tensors, in manifest order', async (t) => {
  t.same(
    encoder.layout.slots.map(({ name, sparse, column }) => [name, sparse, column]),
    [
      ['country', true, 0],
      ['hour', true, 1],
      ['campaign', true, 2],
      ['creative', true, 3],
      ['price', false, 0],
      ['age', false, 1],
    ],
  )
})

t.test('a listener hears of every unknown value of a request', async (t) => {
  const heard: string[] = []
  const { rows } = createEncoder(features, { onUnknown: (field) => heard.push(field) })
  rows({ country: 'XX', hour: 1 }, [{ campaign: 'c1', price: 1 }], options)
  t.same(heard, ['country'])
})

/** An encoded request without the note whether its rows have one context. */
const apartFromContext = ({ oneContext: _, ...encoded }: EncodedRequest) => encoded

t.test('leaving a field out, null, and its default are encoded alike', async (t) => {
  const rows = (...request: Parameters<typeof encoder.rows>) => apartFromContext(encoder.rows(...request))
  const row = { campaign: 'c1', price: 1 }
  const defaults = { country: 'FR', creative: '', age: 30 }
  const nulls = { country: null, creative: null, age: null }
  const absent = rows({ hour: 1 }, [row], options)
  t.same(rows({ hour: 1 }, [{ ...row, ...defaults }], options), absent)
  t.same(rows({ hour: 1 }, [{ ...row, ...nulls }], options), absent)
  t.same(rows({ hour: 1, ...defaults }, [row], options), absent)
})

const value: Record<string, fc.Arbitrary<unknown>> = {
  country: fc.oneof(fc.constantFrom('DE', 'FR', 'XX', null), fc.string()),
  hour: fc.integer({ min: 0, max: 23 }),
  campaign: fc.constantFrom('c1', 'c2', 'c3'),
  creative: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(null)),
  price: fc.double({ min: -1e30, max: 1e30, noNaN: true }),
  age: fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)),
}
const junk = fc.oneof(
  fc.anything({ withNullPrototype: false }),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1e39, -1, 2.5, null, undefined, '', '1'),
)

/** A table of values by row, and the fields that all rows share. */
const table = (values: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({
    context: fc.record({ country: values.country!, hour: values.hour! }),
    rows: fc.array(
      fc.record({
        id: fc.string(),
        campaign: values.campaign!,
        creative: values.creative!,
        price: values.price!,
        age: values.age!,
      }),
      { minLength: 1, maxLength: 20 },
    ),
  })

const transpose = (rows: Record<string, unknown>[]) =>
  Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]))

/** The answer or the error of an encoder, by row: paths of the two forms differ in the order of row and name. */
function outcome(encode: () => EncodedRequest) {
  try {
    const { problems, index, ids, sparse, dense, rows, requested } = encode()
    return { problems: problems.map(place).sort(), index, ids, sparse, dense, rows, requested }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    return { code: error.code, problems: (error.problems ?? []).map(place).sort() }
  }
}

function place({ path, message }: { path: string; message: string }): string {
  const [, row, name] = /^\/candidates\/([0-9]+)\/(.*)$/.exec(path) ?? []
  return row === undefined ? `${path} ${message}` : `/candidates/${name}/${row} ${message}`
}

const same = (a: unknown, b: unknown) => isDeepStrictEqual(a, b)

t.test('good rows are encoded alike by row and by column', async () => {
  fc.assert(
    fc.property(table(value), ({ context, rows }) =>
      same(
        outcome(() => encoder.rows(context, rows, options)),
        outcome(() => encoder.columns(context, transpose(rows), options)),
      ),
    ),
  )
})

for (const partial of [false, true]) {
  t.test(`any rows are encoded or refused alike by row and by column${partial ? ', in part' : ''}`, async () => {
    const mixed = Object.fromEntries(Object.entries(value).map(([name, good]) => [name, fc.oneof(good, good, junk)]))
    fc.assert(
      fc.property(table({ ...mixed, country: value.country!, hour: value.hour! }), ({ context, rows }) =>
        same(
          outcome(() => encoder.rows(context, rows, { ...options, partial })),
          outcome(() => encoder.columns(context, transpose(rows), { ...options, partial })),
        ),
      ),
    )
  })
}

t.test('what is encoded is the same request again, as tensors', async () => {
  fc.assert(
    fc.property(table(value), ({ context, rows }) => {
      const encoded = encoder.rows(context, rows, options)
      const again = encoder.tensors(matrix(encoded.sparse, 4), matrix(encoded.dense, 2), options)
      return same([again.rows, again.sparse, again.dense], [encoded.rows, encoded.sparse, encoded.dense])
    }),
  )
})

t.test('a field given in the context is as if every row gave it', async () => {
  fc.assert(
    fc.property(table(value), ({ context, rows }) => {
      const shared = encoder.rows(context, rows, options)
      const spread = encoder.rows(
        undefined,
        rows.map((row) => ({ ...row, ...context })),
        options,
      )
      const comparable = (request: EncodedRequest) => ({ ...apartFromContext(request), placeOf: undefined })
      return same(comparable(shared), comparable(spread))
    }),
  )
})

t.test('in part, what is left are the rows that pass alone', async () => {
  const mixed = Object.fromEntries(Object.entries(value).map(([name, good]) => [name, fc.oneof(good, good, junk)]))
  fc.assert(
    fc.property(table({ ...mixed, country: value.country!, hour: value.hour! }), ({ context, rows }) => {
      const good = rows.flatMap((row, i) => ('code' in outcome(() => encoder.rows(context, [row], options)) ? [] : [i]))
      const encoded = encoder.rows(context, rows, { ...options, partial: true })
      return same([...(encoded.index ?? rows.keys())], good)
    }),
  )
})

t.test('no request, however odd, throws anything but a ModelError', async () => {
  const odd: Field['name'][] = ['__proto__', 'constructor', 'a/b']
  const { rows, columns, tensors } = createEncoder([
    ...features,
    ...odd.map((name): Field => ({ ...(features[5] as Field), name })),
  ])
  fc.assert(
    fc.property(fc.anything(), fc.anything(), fc.boolean(), (first, second, partial) => {
      for (const encode of [rows, columns, tensors]) outcome(() => encode(first, second, { ...options, partial }))
    }),
  )
})

function matrix(values: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) =>
    Array.from({ length: width }, (_, column) => values[row * width + column]!),
  )
}
