import t from 'tap'
import { NumberReader } from '../../../../src/model/serving/tables/read-number.ts'
import { fc, randomCases } from '../../../support/cases.ts'

/** JSON's numbers, with a sign and zeros before them as spreadsheets write them. */
const grammar = /^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$|^[+-]?\.[0-9]+([eE][+-]?[0-9]+)?$/

/** Reads a text between other bytes. */
function read(text: string): { value: number; json: boolean } {
  const bytes = Buffer.from(`7${text}7`)
  const reader = new NumberReader()
  const value = reader.read(bytes, 1, bytes.length - 1)
  return { value, json: reader.isJson }
}

function expect(text: string): void {
  const wanted = grammar.test(text) ? Number(text) : Number.NaN
  const { value, json } = read(text)
  if (!Object.is(value, wanted)) throw new Error(`${text} is read as ${value}, not ${wanted}`)
  if (!Number.isNaN(wanted) && json !== (String(wanted) === text)) throw new Error(`${text}: json is ${json}`)
}

t.test('numbers are those of Number, to the last bit', async () => {
  const digits = (maxLength: number) => fc.stringMatching(/^[0-9]*$/, { maxLength, size: 'max' })
  const sign = fc.constantFrom('', '-', '+')
  const power = fc.oneof(
    fc.constant(''),
    fc.tuple(fc.constantFrom('e', 'E'), sign, digits(3)).map((parts) => parts.join('')),
  )
  const written = fc.tuple(sign, digits(20), fc.constantFrom('', '.'), digits(18), power).map((parts) => parts.join(''))
  const cases = [
    written,
    fc.double().map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toFixed(3)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toPrecision(15)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toExponential()),
    fc.tuple(fc.maxSafeInteger(), fc.nat({ max: 12 })).map(([value, places]) => String(value / 10 ** places)),
    fc.stringMatching(/^[-+.eE0-9 ]{0,8}$/),
  ]
  fc.assert(fc.property(fc.oneof(...cases), expect), { numRuns: randomCases(20_000) })
})

t.test('edges', async () => {
  const ordinary = [
    '0',
    '-0',
    '+0',
    '00',
    '0.0',
    '-0.5',
    '.5',
    '5.',
    '.',
    '-',
    '',
    'e5',
    '1e',
    '1e+',
    '1e5',
    '1e+21',
    '1.e2',
  ]
  const large = [
    '1e22',
    '1e23',
    '1e-22',
    '1e-23',
    '9007199254740993',
    '1e400',
    '-1e400',
    '1e-400',
    '123456789012345e22',
  ]
  const small = [
    '0.000001',
    '0.0000001',
    '999999999999999',
    '0.1',
    '0.10',
    '007',
    '1_0',
    '١',
    ' 1',
    '1 ',
    'NaN',
    'Infinity',
    '0x1',
  ]
  for (const text of [...ordinary, ...large, ...small, `${'0'.repeat(400)}1`, `0.${'0'.repeat(400)}1`]) expect(text)
})
