import t from 'tap'
import { ModelError } from '../../../src/base/errors.ts'
import { KeyList } from '../../../src/model/contracts/key-list.ts'
import { NumberMatrix } from '../../../src/model/serving/features/number-matrix.ts'
import { readJson } from '../../../src/server/body/read-json.ts'
import { readTensors } from '../../../src/server/body/read-tensors.ts'
import { fc, randomCases } from '../../support/cases.ts'

/** The outcome of a read: a value, or a refusal with its problems. */
function outcomeOf(read: () => unknown): { value: unknown } | { code: string; problems: unknown } {
  try {
    return { value: read() }
  } catch (error) {
    if (error instanceof ModelError) return { code: error.code, problems: error.problems }
    throw error
  }
}

/** Matrices and keys as the arrays that JSON.parse makes of them. */
function plain(value: Record<string, unknown>): Record<string, unknown> {
  if (value.candidates instanceof KeyList) value.candidates = value.candidates.texts()
  for (const name of ['sparse', 'dense']) {
    const matrix = value[name]
    if (!(matrix instanceof NumberMatrix)) continue
    value[name] = Array.from({ length: matrix.rows }, (_, row) =>
      Array.from(matrix.values.subarray(row * matrix.width, (row + 1) * matrix.width)),
    )
  }
  return value
}

/** Object.is for every number, own keys in any order, prototypes and all. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) => Object.hasOwn(b, key) && same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  )
}

/** Throws where the two readers differ; tells whether the fast one took it. */
function compare(body: Buffer): boolean {
  let fast = false
  const read = outcomeOf(() => {
    const tensors = readTensors(body)
    fast = tensors !== undefined
    return tensors === undefined ? readJson(body) : plain(tensors)
  })
  const expected = outcomeOf(() => readJson(body))
  if (!same(read, expected))
    throw new Error(`${JSON.stringify(body.toString())}: ${JSON.stringify(read)}, not ${JSON.stringify(expected)}`)
  return fast
}

const compareText = (text: string) => compare(Buffer.from(text))

const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength, maxLength })

/** Numbers as text, in every form that JSON has. */
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.integer().map(String),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.oneof(
        fc.constant('0'),
        digits(0, 20).map((rest) => `7${rest}`),
      ),
      fc.oneof(
        fc.constant(''),
        digits(1, 26).map((fraction) => `.${fraction}`),
      ),
      fc.oneof(
        { weight: 3, arbitrary: fc.constant('') },
        fc.tuple(fc.constantFrom('e', 'E', 'e+', 'E-'), digits(1, 3)).map((parts) => parts.join('')),
      ),
    )
    .map((parts) => parts.join('')),
  fc.constantFrom('0', '-0', '-0.0', '0.000', '1e400', '-1e400', '1e-400', '5e-324', '9007199254740993', '0e0'),
)
/** Texts that are no numbers, though they look like some. */
const almost = fc.constantFrom('01', '-', '-01', '1.', '.5', '+1', '1e', '1e+', '0x1', 'NaN', '1 2', '--1', '1_0', '')
const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 2 })

const spaced = (arbitrary: fc.Arbitrary<string>) => fc.tuple(space, arbitrary, space).map((parts) => parts.join(''))
const list = (element: fc.Arbitrary<string>, length: { minLength?: number; maxLength: number }) =>
  spaced(fc.array(spaced(element), length).map((parts) => `[${parts.join(',')}]`))

const matrix = fc
  .nat(4)
  .chain((width) => list(list(number, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 4 }))
const brokenMatrix = fc.oneof(
  list(list(number, { maxLength: 3 }), { maxLength: 3 }),
  list(list(fc.oneof({ weight: 4, arbitrary: number }, almost), { minLength: 1, maxLength: 1 }), { maxLength: 3 }),
  fc.constantFrom(
    '[]',
    '[[]]',
    '[[],[]]',
    '[[[1]]]',
    '[1]',
    '[[1],2]',
    '[[1],]',
    '[[1,]]',
    '[["1"]]',
    '[[null]]',
    'null',
  ),
)
const plainKey = fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map((text) => text.replaceAll(/["\\]/g, ''))
const keys = list(
  fc
    .oneof({ weight: 40, arbitrary: plainKey }, fc.string({ unit: 'grapheme', maxLength: 4 }))
    .map((text) => JSON.stringify(text)),
  { minLength: 1, maxLength: 5 },
)
const brokenKeys = fc.constantFrom(
  '[]',
  '["a",]',
  '["a","b"',
  '["a" "b"]',
  '["a\n"]',
  '["a\u007f"]',
  '["a",1]',
  '[["a"]]',
  '["a"',
  '["',
)
const json = fc
  .oneof(
    fc.json({ maxDepth: 3 }),
    fc.json({ maxDepth: 2 }).map((text) => `{"sparse":[[1]],"inner":${text}}`),
  )
  .map((text) => text.replaceAll('"a', '"\\u0061'))
const value = fc.oneof(
  { weight: 8, arbitrary: matrix },
  { weight: 2, arbitrary: json },
  { weight: 2, arbitrary: brokenMatrix },
  { weight: 6, arbitrary: keys },
  { weight: 1, arbitrary: brokenKeys },
  {
    weight: 1,
    arbitrary: fc.constantFrom('"\\"],}"', '"a\\\\"', '"é😀\u2028"', '"__proto__"', '{"__proto__":1}', '1]', '[1}', ''),
  },
)
const key = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('"sparse"', '"dense"', '"candidates"') },
  { weight: 4, arbitrary: fc.constantFrom('"model"', '"options"', '"context"') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '"\\u0073parse"',
      '"d\\u0065nse"',
      '"candid\\u0061tes"',
      '"__proto__"',
      '"__pr\\u006fto__"',
      '"constructor"',
      '"sparse\\"',
      '""',
      '"é"',
    ),
  },
)
const body = fc
  .tuple(
    space,
    fc.array(
      fc
        .tuple(space, key, space, spaced(value))
        .map(([before, key, after, value]) => `${before}${key}${after}:${value}`),
      { maxLength: 4 },
    ),
    space,
  )
  .map(([before, members, after]) => `${before}{${members.join(',')}}${after}`)

t.test('a body gives what JSON.parse gives, bit by bit, or the same refusal', async (t) => {
  const runs = randomCases(3000)
  let fast = 0
  fc.assert(
    fc.property(body, (text) => {
      if (compareText(text)) fast++
    }),
    { numRuns: runs },
  )
  t.ok(fast > runs / 20, `${fast} were read without JSON.parse`)
})

t.test('so does a body that was cut, or whose bytes were changed, or followed by others', async () => {
  const wrong = fc.oneof(
    fc.tuple(body, fc.nat()).map(([text, at]) => {
      const bytes = Buffer.from(text)
      return bytes.subarray(0, at % (bytes.length + 1))
    }),
    fc.tuple(body, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })).map(([text, changes]) => {
      const bytes = Buffer.from(text)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return bytes
    }),
    fc.tuple(body, fc.string({ minLength: 1, maxLength: 3 })).map((parts) => Buffer.from(parts.join(''))),
    body.map((text) => Buffer.from(`\ufeff${text}`)),
  )
  fc.assert(
    fc.property(wrong, (bytes) => {
      compare(bytes)
    }),
    { numRuns: randomCases(3000) },
  )
})

t.test('what is no text is refused beside tensors, too', async (t) => {
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]])
    for (const [before, after] of [
      ['{"model":"', '","sparse":[[1]]}'],
      ['{"', '":1,"sparse":[[1]]}'],
      ['{"sparse":[[1]],"options":["', '"]}'],
    ] as const) {
      const body = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
      t.throws(() => readTensors(body) ?? readJson(body), {
        code: 'INVALID_REQUEST',
        problems: [{ path: '', message: 'must be UTF-8' }],
      })
    }
  t.ok(compareText('{"model":"\ufffd","sparse":[[1]]}'), 'the replacement character itself is text')
})

t.test('the last of two keys counts, however they are written', async (t) => {
  for (const text of [
    '{"sparse":[[1]],"sparse":[[2]]}',
    '{"sparse":[[1]],"\\u0073parse":[[2]]}',
    '{"\\u0073parse":[[2]],"sparse":[[1]]}',
    '{"sparse":[[1]],"dense":[[1]],"dens\\u0065":null}',
    '{"model":"a","sparse":[[1]],"model":"b"}',
    '{"candidates":["a"],"candidates":["b"]}',
    '{"candidates":["a"],"c\\u0061ndidates":null}',
  ])
    t.doesNotThrow(() => compareText(text))
})

t.test('keys that would reach into a prototype are refused beside tensors', async (t) => {
  for (const key of ['"__proto__"', '"__pr\\u006fto__"'])
    for (const text of [`{${key}:{"dense":[[1]]},"sparse":[[1]]}`, `{"sparse":[[1]],"options":{${key}:1}}`]) {
      t.throws(() => readTensors(Buffer.from(text)) ?? readJson(Buffer.from(text)), { code: 'INVALID_REQUEST' }, text)
      compareText(text)
    }
})

t.test('what is wrong beside tensors is told with its place in the body', async () => {
  compareText('{"sparse":[[1,2],[3,4]],"options":{"tasks":[}}}')
})

t.test('tensors and keys are read without JSON.parse, what else there is between them', async (t) => {
  t.ok(compareText('{"model":"ads","sparse":[[1,2],[3,4]],"dense":[[0.5],[-1e3]],"options":{"sparse":[["x"]]}}'))
  t.ok(compareText('{"dense":[[0.5]]}'))
  t.ok(compareText('{"context":{"user":"é"}, "candidates" : [ "a", "", "ad-17" ]}'))
  t.notOk(compareText('{"candidates":[{"price":1}]}'))
  t.notOk(compareText('{"candidates":["a","é"]}'))
  t.notOk(compareText('{}'))
})

t.test('two matrices keep apart while their memory grows, and the next body uses it again', async (t) => {
  const rows = (count: number, first: number) => Array.from({ length: count }, (_, i) => [first + i, first - i, i / 7])
  for (const [sparse, dense] of [
    [10, 30_000],
    [30_000, 10],
    [90_000, 90_000],
    [1, 1],
  ] as const)
    t.ok(compareText(JSON.stringify({ sparse: rows(sparse, 1), dense: rows(dense, 1_000_000) })))
})
