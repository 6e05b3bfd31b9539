import t from 'tap'
import type { InferDatatype } from '../../../../src/schemas/infer.ts'
import { datatypes } from '../../../../src/server/protocols/open-inference/infer-datatypes.ts'

const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes).buffer
const fromBytes = (name: InferDatatype, ...bytes: number[]) => datatypes[name].fromBytes(bytesOf(...bytes))

t.test('every datatype, byte by byte', async (t) => {
  const cases: [InferDatatype, number[], number[]][] = [
    ['BOOL', [0, 1, 1], [0, 1, 1]],
    ['INT8', [0x80, 0x7f, 0xff], [-128, 127, -1]],
    ['UINT8', [0x80, 0xff], [128, 255]],
    ['INT16', [0x00, 0x80, 0xff, 0x7f], [-32768, 32767]],
    ['UINT16', [0x00, 0x80, 0xff, 0xff], [32768, 65535]],
    ['INT32', [0x01, 0x02, 0x03, 0x84], [-2080177663]],
    ['UINT32', [0x01, 0x02, 0x03, 0x84], [2214789633]],
    ['INT64', [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [-2]],
    ['INT64', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x00], [Number.MAX_SAFE_INTEGER]],
    ['INT64', [0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe0, 0xff], [Number.MIN_SAFE_INTEGER]],
    ['INT64', [0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00], [2 ** 31]],
    ['UINT64', [0x05, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00], [2 ** 32 + 5]],
    ['FP32', [0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0xc0, 0xff], [1, Number.NaN]],
    ['FP64', [0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f], [0.1]],
  ]
  for (const [name, bytes, numbers] of cases) {
    const values = fromBytes(name, ...bytes)
    t.same([...(values as Iterable<number>)], numbers, name)
    t.equal(bytes.length / numbers.length, datatypes[name].size, name)
  }
})

t.test('64-bit integers that doubles can not tell apart are refused', async (t) => {
  const message = /beyond ±\(2\^53 − 1\)/
  t.match(fromBytes('INT64', 0, 0, 0, 0, 0, 0, 0x20, 0), { index: 0, message })
  t.match(fromBytes('INT64', 0, 0, 0, 0, 0, 0, 0xe0, 0xff), { index: 0, message })
  t.match(fromBytes('UINT64', 1, 0, 0, 0, 0, 0, 0, 0, ...new Array(8).fill(0xff)), { index: 1, message })
})

t.test('integers of JSON are integers, within the range of their datatype', async (t) => {
  for (const [name, min, max] of [
    ['INT8', -128, 127],
    ['UINT8', 0, 255],
    ['INT16', -32768, 32767],
    ['UINT16', 0, 65535],
    ['INT32', -(2 ** 31), 2 ** 31 - 1],
    ['UINT32', 0, 2 ** 32 - 1],
    ['INT64', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['UINT64', 0, Number.MAX_SAFE_INTEGER],
  ] as const) {
    const { fromNumbers, integer } = datatypes[name]
    t.ok(integer)
    t.same([...(fromNumbers([min, 1, max]) as Float64Array)], [min, 1, max], name)
    for (const wrong of [min - 1, max + 1, 0.5, Number.POSITIVE_INFINITY])
      t.match(fromNumbers([1, wrong]), { index: 1, message: /must be an integer from/ }, `${name} ${wrong}`)
    t.match(fromNumbers([1, '1']), { index: 1, message: 'must be a number' })
  }
})

t.test('floats of JSON are numbers', async (t) => {
  for (const name of ['FP32', 'FP64'] as const) {
    const { fromNumbers, integer } = datatypes[name]
    t.notOk(integer)
    t.same([...(fromNumbers([0.1, -3]) as Float64Array)], [0.1, -3])
    for (const wrong of [null, '1', true, [1], {}])
      t.match(fromNumbers([wrong]), { index: 0, message: 'must be a number' })
  }
})

t.test('BOOL is false and true, as 0 and 1', async (t) => {
  const { fromNumbers, integer } = datatypes.BOOL
  t.ok(integer)
  t.same([...(fromNumbers([true, false, 1, 0]) as Int32Array)], [1, 0, 1, 0])
  for (const wrong of [2, -1, 0.5, null, 'true', '', [], [1]])
    t.match(fromNumbers([true, wrong]), { index: 1, message: 'must be true or false' }, JSON.stringify(wrong))
  t.match(fromBytes('BOOL', 0, 2), { index: 1, message: 'must be true or false' })
})
