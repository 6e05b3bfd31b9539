import t from 'tap'
import { KeyList } from '../../../src/model/contracts/key-list.ts'
import type { CandidateIds } from '../../../src/model/contracts/prediction.ts'
import { JsonWriter } from '../../../src/server/protocols/json-writer.ts'
import { type NumberColumn, type RowIds, writeNumberRows } from '../../../src/server/protocols/number-rows.ts'
import { fc, randomCases } from '../../support/cases.ts'

/** The same, number by number. */
function writeSlowly(columns: readonly NumberColumn[], rows: number, skip: number, ids?: RowIds): string {
  const json = new JsonWriter(0)
  for (let row = 0; row < rows; row++) {
    if (ids) {
      json.raw(ids.before)
      json.idAt(ids.ids, row)
    }
    for (const { before, values } of columns) {
      json.raw(before)
      json.number(values[row]!)
    }
  }
  return json.finish().subarray(skip).toString()
}

function write(columns: readonly NumberColumn[], rows: number, skip: number, ids?: RowIds): string {
  const json = new JsonWriter(0)
  writeNumberRows(json, columns, rows, skip, ids)
  return json.finish().toString()
}

/** Without the texts in a failure's message: they may be long. */
function compare(columns: readonly NumberColumn[], rows: number, skip: number, ids?: RowIds): void {
  const [actual, expected] = [write(columns, rows, skip, ids), writeSlowly(columns, rows, skip, ids)]
  if (actual === expected) return
  let at = 0
  while (actual[at] === expected[at]) at++
  const [is, wanted] = [actual, expected].map((text) => text.slice(Math.max(0, at - 30), at + 30))
  throw new Error(`at ${at}: ${is} instead of ${wanted}`)
}

/** Probabilities for the most part; numbers that the kernel leaves out, and those at its bounds. */
const number = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 4, arbitrary: fc.double({ min: -2e7, max: 2e7, noNaN: true }) },
  fc.double(),
  fc.constantFrom(0, -0, 1, -1, 0.1, 1e-7, 1e7, 0.999999995, 9.99999999e-8, 9999999.5, 9999999.95, 99999.9999, 1e-323),
  // Powers of ten and of two, and their neighbours.
  fc
    .tuple(fc.constantFrom(2, 10), fc.integer({ min: -24, max: 24 }), fc.integer({ min: -2, max: 2 }))
    .map(([base, exponent, off]) => base ** exponent * (1 + off * Number.EPSILON)),
  fc
    .tuple(fc.integer({ min: 1, max: 99_999_999 }), fc.integer({ min: -15, max: 0 }))
    .map(([digits, exponent]) => Number(`${digits}e${exponent}`)),
)

const piece = fc.string({ maxLength: 40 }).map((text) => Buffer.from(`,${text}`))

function listOf(texts: readonly string[], between: string): KeyList {
  const bytes = Buffer.from(texts.map((text) => `${between}"${text}"`).join(''))
  const starts = new Int32Array(texts.length)
  const ends = new Int32Array(texts.length)
  let at = 0
  for (const [place, text] of texts.entries()) {
    starts[place] = at + between.length + 1
    ends[place] = starts[place]! + text.length
    at = ends[place]! + 1
  }
  return new KeyList(bytes, starts, ends)
}

const plain = fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/["\\]/g, '_'))
const id = fc.oneof(fc.string({ maxLength: 30 }), fc.integer(), fc.constantFrom('ä"\\€\n', undefined))

function idsOf(rows: number): fc.Arbitrary<CandidateIds | undefined> {
  const exactly = { minLength: rows, maxLength: rows }
  return fc.oneof(
    fc.constant(undefined),
    fc.array(id, exactly),
    fc.tuple(fc.array(plain, exactly), fc.string({ maxLength: 200 })).map(([keys, between]) => listOf(keys, between)),
  )
}

const answer = fc
  .tuple(fc.nat({ max: 700 }), fc.integer({ min: 1, max: 4 }))
  .chain(([rows, count]) =>
    fc.tuple(
      fc.array(piece, { minLength: count, maxLength: count }),
      fc.array(number, { minLength: 1, maxLength: 97 }),
      fc.constant(rows),
      idsOf(rows),
      piece,
    ),
  )
  .map(([columns, numbers, rows, ids, before]) => ({
    rows,
    ids: ids && { before, ids },
    columns: columns.map((before, column) => ({
      before,
      values: Float64Array.from({ length: rows }, (_, row) => numbers[(row * 3 + column) % numbers.length]!),
    })),
  }))

t.test('rows are those that JSON writes number by number', async () => {
  fc.assert(
    fc.property(answer, fc.nat({ max: 1 }), ({ columns, rows, ids }, skip) => compare(columns, rows, skip, ids)),
    { numRuns: randomCases(300) },
  )
})

/** The text of a number, by whichever writer. */
function decimal(value: number): string {
  if (value === 0) return '0'
  if (!Number.isFinite(value)) return 'null'
  const size = Math.abs(value)
  const rounded = Number(size.toPrecision(8))
  const fixed = size < 1 && size >= 1e-7
  const text = fixed && rounded < 1 ? rounded.toFixed(14).replace(/0+$/, '') : String(rounded)
  return value < 0 ? `-${text}` : text
}

t.test('a number has the digits of Number#toPrecision, whatever the answer holds besides', async (t) => {
  const bits = new Float64Array(1)
  const words = new Uint32Array(bits.buffer)
  const whole = new BigInt64Array(bits.buffer)
  let state = 1
  const below = (most: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % most
  }
  const random = (from: number, count: number) => {
    words[0] = below(2 ** 31)
    words[1] = below(2 ** 20) | ((from + below(count)) << 20)
    return bits[0]!
  }
  const beside = (value: number) => {
    bits[0] = value
    whole[0]! += BigInt(below(7) - 3)
    return bits[0]!
  }
  const kinds = [
    // From 2^-25 to 2^24: what the kernel writes, and somewhat more; any double.
    () => random(998, 50),
    () => random(0, 2047),
    // Halves of the last digit, exact ones (of a power of two) and others, with their neighbours.
    () => beside(Number(`${10_000_000 + below(90_000_000)}5e${below(40) - 25}`)),
    () => beside((2 * below(2 ** 26) + 1) / 2 ** below(34)),
    // Numbers that round up to a power of ten; powers; subnormals.
    () => beside(Number(`9.9999999${below(10_000)}e${below(44) - 22}`)),
    () => beside(10 ** (below(60) - 30)),
    () => beside(2 ** (below(60) - 30)),
    () => random(0, 1) / 2 ** below(52),
  ]
  const before = Buffer.from(',')
  const fixed = [
    0,
    0.5,
    1e21,
    1e22,
    1e23,
    1e-7,
    1e7,
    9_999_999.5,
    99_999_999.5,
    5e-324,
    Number.NaN,
    Infinity,
    40.1234565,
  ]
  const signed = (value: number, i: number) => (i & 1 ? -value : value)
  const others = Array.from({ length: randomCases(100_000) }, (_, i) => kinds[i % kinds.length]!())
  const values = Float64Array.from([...fixed, ...fixed.map((value) => -value), ...others.map(signed)])
  const together = write([{ before, values }], values.length, 1).split(',')
  const wrong: string[] = []
  for (const [i, value] of values.entries()) {
    const alone = write([{ before, values: values.subarray(i, i + 1) }], 1, 1)
    const expected = decimal(value)
    if (together[i] !== expected || alone !== expected)
      wrong.push(`${value}: ${together[i]} together, ${alone} alone, instead of ${expected}`)
  }
  t.same(wrong.slice(0, 10), [])
})

t.test('ids longer than the kernel has place for, among short ones', async () => {
  const lengths = [3, 70_000, 5, 40_000, 40_000, 2, 64_990, 65_010, 1]
  const texts = lengths.map((length, i) => String(i).repeat(length))
  const columns = ['a', 'b'].map((name) => ({
    before: Buffer.from(`,"${name}":`),
    values: Float64Array.from(texts, (_, i) => i / 7),
  }))
  for (const ids of [texts, listOf(texts, ', ')]) {
    compare(columns, texts.length, 2, { before: Buffer.from('},{"id":'), ids })
  }
})

t.test('more columns, and longer names of them, than the kernel has place for', async () => {
  for (const [count, length] of [
    [64, 3],
    [65, 3],
    [200, 3],
    [4, 2500],
    [16, 497],
    [16, 499],
    [16, 503],
  ] as const) {
    const columns = Array.from({ length: count }, (_, column) => ({
      before: Buffer.from(','.padEnd(length, 'n')),
      values: Float64Array.from({ length: 600 }, (_, row) => -(row + 1) / (column + 1) / 1e5),
    }))
    compare(columns, 600, 1)
  }
})
