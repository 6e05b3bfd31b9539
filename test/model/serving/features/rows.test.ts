import t from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { EncodeOptions } from '../../../../src/model/serving/features/layout.ts'
import type { Features, Field } from '../../../../src/schemas/features.ts'
import { murmur } from '../../../support/expected.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'
import { problemsOf } from '../../../support/problems-of.ts'

const { features } = exampleManifest()
const encoder = createEncoder(features)
const options: EncodeOptions = { maxRows: 1000, partial: false }
const partial: EncodeOptions = { ...options, partial: true }
const context = { hour: 21 }
const candidate = { campaign: 'c1', price: 10 }

/** Ids begin at 0 (country, bucket first), 3 (hour), 27 (campaign), 30 (creative). */
const encodedCandidate = [2, 3 + 21, 27, murmur('')]

const rows = (context: unknown, candidates: unknown, asked = options) => encoder.rows(context, candidates, asked)
const problems = (context: unknown, candidates: unknown, asked = options) =>
  problemsOf(() => rows(context, candidates, asked))
/** The message on a name that is no field's. */
const unknownInContext = 'is not a field of this model; it has country, hour, campaign, creative, price, age'
const unknown = `${unknownInContext}, id, bid`
const number = (name: string): Field => ({
  name,
  side: 'candidate',
  kind: 'numeric',
  scaling: { method: 'none' },
  missing: 'error',
})

t.test('the context holds for every candidate, and defaults fill the rest', async (t) => {
  const encoded = rows(context, [candidate, { ...candidate, campaign: 'c3', age: 50 }])
  t.equal(encoded.rows, 2)
  t.equal(encoded.requested, 2)
  t.same([...encoded.sparse], [...encodedCandidate, 2, 24, 29, murmur('')])
  t.same([...encoded.dense], [2, 30, 2, 50])
  t.same(encoded.problems, [])
  t.equal(encoded.index, undefined)
})

t.test('a field may stand in either place, whatever its side', async (t) => {
  const swapped = rows(candidate, [{ hour: 21 }])
  t.same([...swapped.sparse], encodedCandidate)
  t.same([...swapped.dense], [2, 30])
})

t.test('an integer field is not mistaken for its neighbour: the hour stays below the campaigns', async (t) => {
  t.same([...rows({ hour: 23 }, [candidate]).sparse].slice(1, 3), [26, 27])
})

t.test('without candidates the context is the one row', async (t) => {
  const encoded = rows({ ...context, ...candidate }, undefined)
  t.equal(encoded.requested, 1)
  t.equal(encoded.rows, 1)
  t.same([...encoded.sparse], encodedCandidate)
})

t.test('without candidates the context must give every field that has no default', async (t) => {
  t.same(problems({ hour: 1 }, undefined), [
    '/context/campaign is required: the field has no default',
    '/context/price is required: the field has no default',
  ])
})

t.test('neither context nor candidates is refused', async (t) => {
  t.same(problems(undefined, undefined), [' must have candidates, a context, or tensors (sparse, dense)'])
})

t.test('a context alone has no bids to rank by', async (t) => {
  t.same(problems({ ...context, ...candidate }, undefined, { ...options, bids: true }), [
    '/options/rank/by ecpm needs bids, which only candidates have',
  ])
})

for (const [what, value] of Object.entries({ null: null, 'an array': [], 'a string': 'x', 'a number': 3 })) {
  t.test(`a context that is ${what} is refused`, async (t) => {
    t.same(problems(value, [candidate]), [`/context must be an object, not ${what}`], 'its fields are not missing, too')
    t.same(problems(value, undefined), [`/context must be an object, not ${what}`])
  })

  t.test(`a candidate that is ${what} is refused`, async (t) => {
    t.same(problems(context, [candidate, value]), [`/candidates/1 must be an object, not ${what}`])
  })
}

for (const [what, value] of Object.entries({ null: null, 'an object': {}, 'a string': 'x', 'a boolean': true })) {
  t.test(`candidates that are ${what} are refused`, async (t) => {
    t.same(problems(context, value), [`/candidates must be an array of objects or an object of columns, not ${what}`])
  })
}

t.test('no candidate at all is refused', async (t) => {
  t.same(problems(context, []), ['/candidates must have at least one candidate'])
})

t.test('no candidate at all is refused in part too', async (t) => {
  t.same(problems(context, [], partial), ['/candidates must have at least one candidate'])
})

t.test('more rows than allowed are refused as such', async (t) => {
  t.throws(() => rows(context, [candidate, candidate, candidate], { ...options, maxRows: 2 }), {
    code: 'TOO_MANY_ROWS',
    message: 'The request has 3 rows; at most 2 are allowed',
  })
})

t.test('as many rows as allowed are encoded', async (t) => {
  t.equal(rows(context, [candidate, candidate], { ...options, maxRows: 2 }).rows, 2)
})

t.test('a field that the model does not know is refused in both places', async (t) => {
  t.same(problems({ ...context, colour: 1 }, [{ ...candidate, size: null }]), [
    `/context/colour ${unknownInContext}`,
    `/candidates/0/size ${unknown}`,
  ])
})

t.test('a missing field without a default is refused, once per candidate', async (t) => {
  t.same(problems(context, [{ price: 1 }, candidate, { campaign: 'c1' }]), [
    '/candidates/0/campaign is required: the field has no default',
    '/candidates/2/price is required: the field has no default',
  ])
})

t.test('fields with a default do not make up for those without', async (t) => {
  t.same(problems(context, [{ creative: 'x', age: 3, country: 'DE' }]), [
    '/candidates/0/campaign is required: the field has no default',
    '/candidates/0/price is required: the field has no default',
  ])
})

t.test('null where there is no default is refused, once', async (t) => {
  t.same(problems(context, [{ campaign: null, price: null }]), [
    '/candidates/0/campaign is required: the field has no default, and null counts as missing',
    '/candidates/0/price is required: the field has no default, and null counts as missing',
  ])
})

t.test('null where there is no default is refused in the context, and not again for each candidate', async (t) => {
  t.same(problems({ hour: null }, [candidate, candidate]), [
    '/context/hour is required: the field has no default, and null counts as missing',
  ])
})

t.test('null counts as the default where there is one', async (t) => {
  t.same([...rows({ ...context, country: null }, [{ ...candidate, age: null }]).dense], [2, 30])
})

const wrongValues: [field: string, value: unknown, message: string][] = [
  ['campaign', 3, 'must be a string, not a number'],
  ['campaign', 'c9', 'is not in the field\'s vocabulary: "c9"'],
  ['creative', true, 'must be a string, not a boolean'],
  ['hour', '21', 'must be an integer, not a string'],
  ['hour', 21.5, 'must be an integer'],
  ['hour', -1, 'must be from 0 to 23'],
  ['hour', 24, 'must be from 0 to 23'],
  ['hour', 27, 'must be from 0 to 23'],
  ['price', '10', 'must be a number, not a string'],
  ['price', [10], 'must be a number, not an array'],
  ['price', {}, 'must be a number, not an object'],
  ['price', 1e40, 'is too large for float32'],
  ['price', Number.NaN, 'must be finite'],
  ['price', Number.NEGATIVE_INFINITY, 'must be finite'],
]
for (const [field, value, message] of wrongValues) {
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value)
  t.test(`${field} = ${shown} is refused in a candidate`, async (t) => {
    t.same(problems(undefined, [{ hour: 1, ...candidate, [field]: value }]), [`/candidates/0/${field} ${message}`])
  })

  t.test(`${field} = ${shown} is refused in the context`, async (t) => {
    const { [field]: _, ...rest } = { hour: 1, ...candidate } as Record<string, unknown>
    t.same(problems({ [field]: value }, [rest]), [`/context/${field} ${message}`])
  })
}

t.test('a field in the context and in a candidate is refused', async (t) => {
  t.same(problems(context, [candidate, { ...candidate, hour: 21 }]), [
    '/candidates/1/hour is already given in the context',
  ])
})

t.test('a field in both places is refused even where one is null', async (t) => {
  t.same(problems({ ...context, country: null }, [{ ...candidate, country: 'DE' }]), [
    '/candidates/0/country is already given in the context',
  ])
})

t.test('id and bid are kept by row', async (t) => {
  const encoded = rows(context, [candidate, { ...candidate, id: 'ad-1' }, { ...candidate, bid: 0 }])
  t.same(
    [0, 1, 2].map((row) => encoded.ids?.at(row)),
    [undefined, 'ad-1', undefined],
  )
  t.same(Array.from(encoded.bids ?? []), [undefined, undefined, 0])
})

t.test('id and bid are no part of the context', async (t) => {
  t.same(problems({ ...context, id: 'x', bid: 1 }, [candidate]), [
    "/context/id belongs to a candidate and can't be given in the context",
    "/context/bid belongs to a candidate and can't be given in the context",
  ])
})

t.test('an id may be a string or an integer, and is kept as it was sent', async (t) => {
  const ids = ['7', 7, -1, 0, Number.MAX_SAFE_INTEGER, '']
  const encoded = rows(
    context,
    ids.map((id) => ({ ...candidate, id })),
  )
  t.same(encoded.ids, ids)
})

for (const [id, message] of [
  [null, 'must be a string or an integer, not null'],
  [true, 'must be a string or an integer, not a boolean'],
  [['a'], 'must be a string or an integer, not an array'],
  [1.5, 'must be a string or an integer'],
  [Number.NaN, 'must be a string or an integer'],
  [2 ** 53, 'is beyond ±(2^53 − 1): send it as a string'],
] as const) {
  t.test(`an id that is ${String(id)} is refused`, async (t) => {
    t.same(problems(context, [{ ...candidate, id }]), [`/candidates/0/id ${message}`])
  })
}

for (const [bid, message] of [
  ['1', 'must be a number, not a string'],
  [null, 'must be a number, not null'],
  [-0.01, 'must be a finite number of at least 0'],
  [Number.NaN, 'must be a finite number of at least 0'],
  [Number.POSITIVE_INFINITY, 'must be a finite number of at least 0'],
  [1e306, 'is too large'],
] as const) {
  t.test(`a bid of ${bid === null || typeof bid === 'number' ? bid : `"${bid}"`} is refused`, async (t) => {
    t.same(problems(context, [{ ...candidate, bid }]), [`/candidates/0/bid ${message}`])
  })
}

t.test('every candidate needs a bid where it is ranked by', async (t) => {
  t.same(problems(context, [{ ...candidate, bid: 1 }, candidate], { ...options, bids: true }), [
    '/candidates/1/bid is required to rank by ecpm',
  ])
})

t.test('all problems of all rows are told at once', async (t) => {
  t.same(problems({ colour: 1 }, [{ campaign: 5, price: '1', x: 1 }, null]), [
    `/context/colour ${unknownInContext}`,
    '/candidates/0/campaign must be a string, not a number',
    '/candidates/0/price must be a number, not a string',
    `/candidates/0/x ${unknown}`,
    '/context/hour is required: the field has no default',
    '/candidates/1 must be an object, not null',
  ])
})

t.test('at most a hundred problems are told', async (t) => {
  const bad = Array.from({ length: 300 }, () => ({ ...candidate, price: 'x' }))
  const told = problems(context, bad)
  t.equal(told.length, 100)
  t.equal(told.at(-1), '/candidates/99/price must be a number, not a string')
})

t.test('names with slashes and tildes are escaped where they are told', async (t) => {
  t.same(problems(context, [{ ...candidate, 'a/b~c': 1 }]), [`/candidates/0/a~1b~0c ${unknown}`])
})

for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
  const given = JSON.parse(`{ "${name}": 3 }`) as object

  t.test(`${name} is an unknown field like any other`, async (t) => {
    const row = JSON.parse(`{ "campaign": "c1", "price": 1, "${name}": 3 }`) as object
    t.same(problems(JSON.parse(`{ "hour": 1, "${name}": 3 }`), [row]), [
      `/context/${name} ${unknownInContext}`,
      `/candidates/0/${name} ${unknown}`,
    ])
  })

  t.test(`a field may be called ${name}`, async (t) => {
    const { rows } = createEncoder([number(name)])
    t.same([...rows(undefined, [given], options).dense], [3])
    t.same([...rows(given, undefined, options).dense], [3])
    t.same(
      problemsOf(() => rows({}, [{}], options)),
      [`/candidates/0/${name} is required: the field has no default`],
    )
  })
}

t.test('inherited properties are no features', async (t) => {
  const features: Features = [number('length')]
  t.same(
    problemsOf(() => createEncoder(features).rows(undefined, [Object.create({})], options)),
    ['/candidates/0/length is required: the field has no default'],
  )
})

t.test('in part, a bad row is left out and listed, the others move up', async (t) => {
  const encoded = rows(
    context,
    [
      { ...candidate, price: 'x', id: 'a' },
      { ...candidate, campaign: 'c2', price: 2, id: 'b' },
      null,
      { ...candidate, campaign: 'c3', price: 6, id: 'd', bid: 4 },
    ],
    partial,
  )
  t.equal(encoded.requested, 4)
  t.equal(encoded.rows, 2)
  t.same([...(encoded.index ?? [])], [1, 3])
  t.same([...encoded.sparse], [2, 24, 28, murmur(''), 2, 24, 29, murmur('')])
  t.same([...encoded.dense], [0, 30, 1, 30])
  t.same(encoded.ids, ['a', 'b', undefined, 'd'])
  t.equal(encoded.bids?.[3], 4)
  t.same(encoded.problems, [
    { path: '/candidates/0/price', message: 'must be a number, not a string' },
    { path: '/candidates/2', message: 'must be an object, not null' },
  ])
})

t.test('in part, nothing is left out where nothing is bad', async (t) => {
  const encoded = rows(context, [candidate], partial)
  t.equal(encoded.rows, 1)
  t.equal(encoded.index, undefined)
})

t.test('in part, no row may be left', async (t) => {
  const encoded = rows(context, [null, {}], partial)
  t.equal(encoded.requested, 2)
  t.equal(encoded.rows, 0)
  t.equal(encoded.sparse.length, 0)
  t.equal(encoded.dense.length, 0)
  t.equal(encoded.index?.length, 0)
})

t.test('in part, a wrong context still refuses the request: it spoils every row', async (t) => {
  t.same(problems({ hour: 99 }, [candidate], partial), ['/context/hour must be from 0 to 23'])
})

t.test('in part, bad rows beyond the hundredth problem are left out too', async (t) => {
  const bad = Array.from({ length: 250 }, () => ({ ...candidate, price: 'x' }))
  const encoded = rows(context, [...bad, candidate], partial)
  t.equal(encoded.problems.length, 100)
  t.same([...(encoded.index ?? [])], [250])
})

t.test('it is known whether the rows of a request have one context', async () => {
  const { rows, columns } = createEncoder(exampleManifest().features)
  const own = { campaign: 'c1', price: 1 }
  const asked: EncodeOptions = { maxRows: 10, partial: false }
  t.equal(rows({ country: 'AT', hour: 1 }, [own, own], asked).oneContext, true)
  t.equal(
    rows(
      { country: 'AT' },
      [
        { ...own, hour: 2 },
        { ...own, hour: 3 },
      ],
      asked,
    ).oneContext,
    false,
  )
  t.equal(columns({ country: 'AT', hour: 1 }, { campaign: ['c1'], price: [1] }, asked).oneContext, true)
  t.equal(columns({ country: 'AT' }, { campaign: ['c1'], price: [1], hour: [3] }, asked).oneContext, false)
})
