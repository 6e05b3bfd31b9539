import t from 'tap'
import { JsonWriter } from '../../../src/server/protocols/json-writer.ts'
import { fc, randomCases } from '../../support/cases.ts'

function write(action: (json: JsonWriter) => void, size = 0): string {
  const json = new JsonWriter(size)
  action(json)
  return json.finish().toString()
}

const written = (value: number) => write((json) => json.number(value))

/** Any double: evenly by bits, near powers of ten, and with nines that round up. */
const double = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.float({ min: 0, max: 1, noNaN: true }),
  fc
    .tuple(
      fc.integer({ min: -323, max: 308 }),
      fc.double({ min: -1e-7, max: 1e-7, noNaN: true }),
      fc.constantFrom(1, -1),
    )
    .map(([exponent, off, sign]) => sign * Number(`1e${exponent}`) * (1 + off))
    .filter(Number.isFinite),
  fc
    .tuple(fc.integer({ min: 1, max: 99_999_999 }), fc.integer({ min: -16, max: 16 }))
    .map(([digits, exponent]) => Number(`${digits}e${exponent}`)),
)

t.test('a number is written as the nearest of eight significant digits', async () => {
  fc.assert(
    fc.property(double, (value) => {
      const text = written(value)
      const read = JSON.parse(text) as number
      if (Object.is(read, -0)) throw new Error('a negative zero')
      // Either of two that are as near, to within the last bit of a double, will do.
      const [, exponent] = value.toExponential(7).split('e')
      const half = Number(`0.5e${Number(exponent) - 7}`)
      if (Math.abs(read - value) > half * (1 + 1e-7)) throw new Error(`${text} for ${value}`)
      if (Number(read.toPrecision(8)) !== read) throw new Error(`${text} has more than eight digits`)
      if (Math.abs(read) < 1e21 && Math.abs(read) >= 1e-6 && text.includes('e')) throw new Error(text)
    }),
    { numRuns: randomCases(20_000) },
  )
})

t.test('what has eight digits at most is written as it is', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 99_999_999 }), fc.integer({ min: -40, max: 40 }), (digits, exponent) => {
      const value = Number(`${digits}e${exponent}`)
      if (JSON.parse(written(value)) !== value) throw new Error(`${written(value)} for ${value}`)
    }),
    { numRuns: randomCases(5000) },
  )
})

t.test('digits, where they carry and where they end', async (t) => {
  for (const [value, text] of [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-1, '-1'],
    [0.5, '0.5'],
    [-0.25, '-0.25'],
    [0.1, '0.1'],
    [0.01, '0.01'],
    [1e-7, '0.0000001'],
    [1.00000001e-7, '0.0000001'],
    [9.99999999e-8, '1e-7'],
    [0.999999994, '0.99999999'],
    [999_999_999_999_999_900_000, '1e+21'],
    [0.999999996, '1'],
    [0.0999999996, '0.1'],
    [-0.999999999, '-1'],
    [0.12345678, '0.12345678'],
    [0.10000001, '0.10000001'],
    [0.1234, '0.1234'],
    [0.00010001, '0.00010001'],
    [123456789.123, '123456790'],
    [99999999.6, '100000000'],
    [123456789012345, '123456790000000'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931e+308'],
  ] as const)
    t.equal(written(value), text, String(value))
})

t.test('what no JSON number can say is null', async (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) t.equal(written(value), 'null')
})

t.test('any string is written as JSON.stringify writes it', async () => {
  const unit = fc.oneof(
    fc.constantFrom('"', '\\', '/', '\u2028', '\u2029', '\x7f', '~', ' ', '\0', '\n', '\ud800', '\udfff', 'é', '😀'),
    fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  )
  fc.assert(
    fc.property(fc.array(fc.string({ unit, maxLength: 300 }), { maxLength: 5 }), (strings) => {
      const text = write((json) => {
        for (const value of strings) json.string(value)
      })
      return text === strings.map((value) => JSON.stringify(value)).join('')
    }),
    { numRuns: randomCases(1000) },
  )
})

t.test('the buffer grows under whatever is written', async () => {
  const piece = fc.oneof(
    fc.integer().map((value) => ({ text: String(value), put: (json: JsonWriter) => json.integer(value) })),
    fc.integer({ min: 1000, max: 99_999_999 }).map((value) => ({
      text: String(value / 1e8),
      put: (json: JsonWriter) => json.number(value / 1e8),
    })),
    fc.string({ unit: 'binary', maxLength: 600 }).map((value) => ({
      text: JSON.stringify(value),
      put: (json: JsonWriter) => json.string(value),
    })),
    fc
      .string({ unit: 'grapheme', maxLength: 600 })
      .map((text) => ({ text, put: (json: JsonWriter) => json.text(text) })),
    fc.string({ unit: 'grapheme', maxLength: 600 }).map((text) => ({
      text,
      put: (json: JsonWriter) => json.raw(Buffer.from(text)),
    })),
    fc.constantFrom(',', '[', '}').map((text) => ({
      text,
      put: (json: JsonWriter) => json.byte(text.charCodeAt(0)),
    })),
  )
  // So many single bytes that one of them meets the end of the buffer.
  const bytes = fc.integer({ min: 250, max: 260 }).map((count) => ({
    text: ','.repeat(count),
    put: (json: JsonWriter) => {
      for (let i = 0; i < count; i++) json.byte(0x2c)
    },
  }))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), fc.option(bytes), fc.array(piece), (size, first, rest) => {
      const pieces = first ? [first, ...rest] : rest
      const text = write((json) => {
        for (const { put } of pieces) put(json)
      }, size)
      return text === pieces.map(({ text }) => text).join('')
    }),
    { numRuns: randomCases(500) },
  )
})
