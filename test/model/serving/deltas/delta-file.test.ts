import { createHash } from 'node:crypto'
import t from 'tap'
import { baseOf } from '../../../../src/model/serving/delta-files/container.ts'
import { type Delta, decodeDelta, encodeDelta } from '../../../../src/model/serving/deltas/delta-file.ts'
import { checkDelta, type Expectation } from '../../../../src/model/serving/deltas/expectation.ts'

const base = 'ab'.repeat(32)
const delta: Delta = {
  model: 'ads',
  version: '3',
  base,
  sequence: 7,
  tables: [
    { field: 'ad', width: 3, ids: Uint32Array.of(5, 0), rows: Float32Array.of(1, 2, 3, -4, 5.5, -0) },
    { field: 'größe', width: 1, ids: Uint32Array.of(2 ** 31 - 2), rows: Float32Array.of(9) },
  ],
}
const expected: Expectation = {
  model: 'ads',
  version: '3',
  base,
  fields: [
    { name: 'ad', ids: 6, width: 3, table: 0, first: 0 },
    { name: 'größe', ids: 2 ** 31 - 1, width: 1, table: 1, first: 0 },
  ],
  others: ['hour'],
}

/** A file with this header, these bytes after it, and the right checksum. */
function fileWith(header: unknown, content: Buffer = Buffer.alloc(0)): Buffer {
  const text = typeof header === 'string' ? header : JSON.stringify(header)
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 4) * 4))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(padded.length)
  const body = Buffer.concat([Buffer.from('MGDELTA1'), length, padded, content])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

t.test('what is written is read, at any address', async (t) => {
  const bytes = encodeDelta(delta)
  t.same(decodeDelta(bytes), delta)
  for (const shift of [1, 2, 3]) {
    const moved = Buffer.from(new ArrayBuffer(bytes.length + 4), shift, bytes.length)
    bytes.copy(moved)
    t.same(decodeDelta(moved), delta, `${shift}`)
  }
  checkDelta(decodeDelta(bytes), expected)
})

t.test('the layout is what the documentation says', async (t) => {
  const bytes = encodeDelta(delta)
  const start = 12 + bytes.readUInt32LE(8)
  t.equal(bytes.toString('latin1', 0, 8), 'MGDELTA1')
  t.equal(start % 4, 0)
  t.same(JSON.parse(bytes.toString('utf8', 12, start)), {
    model: 'ads',
    version: '3',
    base,
    sequence: 7,
    tables: [
      { field: 'ad', rows: 2, width: 3 },
      { field: 'größe', rows: 1, width: 1 },
    ],
  })
  t.same([bytes.readUInt32LE(start), bytes.readUInt32LE(start + 4)], [5, 0])
  t.equal(bytes.readFloatLE(start + 8 + 4 * 4), 5.5)
  t.same(createHash('sha256').update(bytes.subarray(0, -32)).digest(), bytes.subarray(-32))
})

t.test('a base is a digest of all files, in the order of their bytes', async (t) => {
  const files = {
    'ä.bin': '2'.repeat(64),
    'model.json': '1'.repeat(64),
    '🙂': '4'.repeat(64),
    '\uffee': '3'.repeat(64),
  }
  const lines = [
    ['1', 'model.json'],
    ['2', 'ä.bin'],
    ['3', '\uffee'],
    ['4', '🙂'],
  ].map(([digit, path]) => `${digit!.repeat(64)}  ${path}\n`)
  t.equal(baseOf(files), createHash('sha256').update(lines.join('')).digest('hex'))
})

t.test('a file that is damaged in any byte, or cut anywhere, is refused', async (t) => {
  const bytes = encodeDelta(delta)
  for (let i = 0; i < bytes.length; i++) {
    const damaged = Buffer.from(bytes)
    damaged[i]! ^= 1
    t.throws(() => decodeDelta(damaged), Error, `byte ${i}`)
    t.throws(() => decodeDelta(bytes.subarray(0, i)), Error, `${i} bytes`)
  }
  t.throws(() => decodeDelta(Buffer.concat([bytes, Buffer.of(0)])), { message: /it is too long/ })
})

t.test('says what is wrong with a file', async (t) => {
  const good = { model: 'ads', version: '3', base, sequence: 1, tables: [{ field: 'ad', rows: 1, width: 1 }] }
  const content = Buffer.alloc(8)
  const long = Buffer.from(encodeDelta(delta))
  long.writeUInt32LE(2 ** 30, 8)
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /^does not begin with MGDELTA1/],
    [Buffer.from('PK\u0003\u0004 something else'), /^does not begin with MGDELTA1/],
    [long, /^has a header of 1073741824 bytes, more than 1048576$/],
    [fileWith('{'), /^has a header that is not JSON/],
    [fileWith('null'), /^header as a whole must be/],
    [fileWith({ ...good, sequence: 0 }, content), /^header \/sequence must be/],
    [fileWith({ ...good, base: 'x' }, content), /^header \/base /],
    [fileWith({ ...good, more: 1 }, content), /^header \/more is unknown/],
    [fileWith({ ...good, tables: [] }), /^header \/tables /],
    [
      fileWith({ ...good, tables: [good.tables[0], good.tables[0]] }, content),
      /^header \/tables\/1\/field names "ad" again$/,
    ],
    [fileWith(good, Buffer.alloc(4)), /its header describes \d+: it is truncated$/],
    [fileWith({ ...good, tables: [{ field: 'ad', rows: 2 ** 31 - 1, width: 65536 }] }, content), /it is truncated$/],
  ]
  for (const [bytes, message] of cases) t.throws(() => decodeDelta(bytes), { message }, `${message}`)
  t.doesNotThrow(() => decodeDelta(fileWith(good, content)))
})

t.test('says what does not fit the version', async (t) => {
  const table = delta.tables[0]!
  const wrong = (change: object) => ({ ...delta, tables: [{ ...table, ...change }] })
  const cases: [Delta, RegExp][] = [
    [{ ...delta, model: 'other' }, /^is of other\/3, not of ads\/3$/],
    [{ ...delta, version: '2' }, /^is of ads\/2, not of ads\/3$/],
    [{ ...delta, base: 'cd'.repeat(32) }, /^was made for other files of ads\/3: its base is cdcd/],
    [wrong({ field: 'ads' }), /^table 0 \(ads\): there is no field "ads"; did you mean "ad"\? Live are ad, größe$/],
    [wrong({ field: 'hour' }), /^table 0 \(hour\): "hour" is not declared live in the manifest$/],
    [wrong({ width: 2, rows: new Float32Array(4) }), /its rows have 2 columns, but the table's have 3$/],
    [wrong({ ids: Uint32Array.of(1, 6) }), /^table 0 \(ad\), row 1: the id 6 is out of range: ids are 0 to 5$/],
    [wrong({ ids: Uint32Array.of(1, 2 ** 32 - 1) }), /the id 4294967295 is out of range/],
    [wrong({ ids: Uint32Array.of(1, 1) }), /^table 0 \(ad\), row 1: the id 1 is there twice$/],
    [wrong({ rows: Float32Array.of(1, 2, 3, 4, Number.NaN, 6) }), /^table 0 \(ad\), row 1: column 1 is NaN/],
    [wrong({ rows: Float32Array.of(1, 2, 3, 4, 5, Number.NEGATIVE_INFINITY) }), /row 1: column 2 is -Infinity/],
  ]
  for (const [bad, message] of cases) t.throws(() => checkDelta(bad, expected), { message }, `${message}`)
})

t.test('fields that share a table may not name the same row', async (t) => {
  const shared: Expectation = {
    ...expected,
    fields: [
      { name: 'item', ids: 6, width: 1, table: 0, first: 0 },
      { name: 'clicked', ids: 5, width: 1, table: 0, first: 1 },
      { name: 'hour', ids: 6, width: 1, table: 1, first: 0 },
    ],
  }
  const of = (field: string, ...ids: number[]) => ({
    field,
    width: 1,
    ids: Uint32Array.from(ids),
    rows: new Float32Array(ids.length),
  })
  checkDelta({ ...delta, tables: [of('item', 3, 0), of('clicked', 3, 1), of('hour', 3, 0)] }, shared)
  const bad = { ...delta, tables: [of('item', 1, 5), of('hour', 2), of('clicked', 1, 4)] }
  const message = 'table 2 (clicked): its id 4 is row 5 of the table, and so is the id 5 of item'
  t.throws(() => checkDelta(bad, shared), { message })
})
