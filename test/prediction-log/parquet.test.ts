import { deepEqual } from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { jsonText, wellFormedLine } from '../../src/prediction-log/json-text.ts'
import { ColumnShape } from '../../src/prediction-log/parquet/column-shape.ts'
import { schemaOf } from '../../src/prediction-log/parquet/file-schema.ts'
import { readParquet } from '../../src/prediction-log/parquet/read-parquet.ts'
import { recordRole } from '../../src/prediction-log/parquet/roles.ts'
import { writeParquet } from '../../src/prediction-log/parquet/write-parquet.ts'
import type { LogRecord } from '../../src/schemas/prediction-log.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { fc } from '../support/cases.ts'

const folder = await temporaryFolder(t)
let files = 0

/** Records that were written and read again, as text. */
async function there(records: unknown[], length = 1): Promise<string[]> {
  const handle = await open(join(folder, `${files++}.parquet`), 'wx+')
  try {
    async function* all() {
      for (const record of records) yield { record: record as LogRecord, length }
    }
    await writeParquet(handle, all)
    const back: string[] = []
    for await (const record of readParquet(handle)) back.push(canonical(record))
    return back
  } finally {
    await handle.close()
  }
}

/** A record as text, with its properties in one order. */
function canonical(value: unknown): string {
  const ordered = (of: any): any =>
    Array.isArray(of)
      ? of.map(ordered)
      : typeof of === 'object' && of !== null
        ? Object.fromEntries(
            Object.keys(of)
              .sort()
              .map((name) => [name, ordered(of[name])]),
          )
        : of
  return jsonText(ordered(value))
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom('"', '\0', '\ufeffx', '\ud800', '', 'é\u{1f600}', '\u2028', '~/', 'null'),
)
const number = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 5e-324, 2 ** 53, 0.1, Number.POSITIVE_INFINITY),
)
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null))
const list = (item: fc.Arbitrary<unknown>) => fc.array(item, { maxLength: 3 })
const weighted = fc.record({ values: list(text), weights: list(number) }, { requiredKeys: [] })
/** Values of one field: of one type, mostly. */
const column: fc.Arbitrary<fc.Arbitrary<unknown>> = fc.constantFrom<fc.Arbitrary<unknown>>(
  ...[text, number, fc.boolean(), fc.constant(null), scalar, list(text), list(number), list(scalar), weighted],
  ...[list(list(text)), fc.oneof(number, fc.constant(null)), fc.jsonValue()],
)
const name = fc.oneof(fc.constantFrom('a', 'b', 'a.b', 'A', 'list', 'element', 'values', 'é/~', 'constructor'), text)
const records = fc
  .array(fc.tuple(name, column), { maxLength: 4 })
  .chain((fields) => {
    const values = fc.record(Object.fromEntries(fields), { requiredKeys: [] })
    const candidate = fc.record(
      {
        ...{ position: fc.nat(), rank: fc.oneof(fc.nat(), fc.integer()), id: fc.oneof(text, number), bid: number },
        ...{ fields: values, raw: values, score: fc.oneof(number, fc.constant(null)) },
      },
      { requiredKeys: ['position'] },
    )
    const time = fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString())
    return fc.array(
      fc.record(
        {
          ...{ schema: fc.constant(1), request_id: text, time: fc.oneof({ weight: 20, arbitrary: time }, text) },
          ...{ ms: values, context: values, problems: list(text), candidates: list(candidate), extra: scalar },
          ...{ odd: fc.jsonValue(), key: fc.oneof(text, fc.constant(null)) },
        },
        { requiredKeys: ['schema', 'request_id'] },
      ),
      { minLength: 1, maxLength: 8 },
    )
  })
  // As a log has them: properties that are undefined are absent, halves of surrogate pairs are replaced.
  .map((all) => all.map((record) => JSON.parse(wellFormedLine(jsonText(record))) as object))

t.test('records come back as they were', async () => {
  await fc.assert(
    fc.asyncProperty(records, fc.constantFrom(1, 1 << 22, 1 << 23), async (all, length) => {
      deepEqual(await there(all, length), all.map(canonical))
    }),
  )
})

t.test('values that are rare', async (t) => {
  const record = (context: object, rest: object = {}) => ({ schema: 1, request_id: 'r', context, ...rest })
  const all = [
    ...Array.from({ length: 200 }, (_, i) => record({ zero: i % 2 ? -0 : 0, text: '\0"\ufeff', 'a.b': 1, a: i })),
    record({ zero: null, mixed: 'no', 'a.b': 2 }),
    record({ mixed: 1, text: '\ufeff\0' }, { candidates: [] }),
    record(
      {},
      {
        candidates: [
          { position: 0, fields: { '': 1 } },
          { position: 1, fields: {}, served: { p: null } },
        ],
      },
    ),
    { schema: 1, request_id: 's', context: null },
  ]
  t.strictSame(await there(all), all.map(canonical))
})

t.test('columns have types that fit', async (t) => {
  const time = '2026-01-02T03:04:05.678Z'
  const record = (id: string | number) => ({
    ...{ schema: 1, time, context: { hour: 1, country: 'DE', flag: true, tags: ['x'] } },
    candidates: [{ position: 0, id, rank: 2 ** 40, fields: {}, served: { ctr: 0.5 } }],
  })
  const shape = new ColumnShape(recordRole)
  for (const id of ['a', 7]) shape.note(record(id))
  const leaf = (of: object) => ({ repetition_type: 'OPTIONAL', ...of })
  const { elements, json } = schemaOf(shape)
  const types = new Map(elements.map(({ name, ...of }) => [name, of]))
  const utf8 = leaf({ type: 'BYTE_ARRAY', converted_type: 'UTF8' })
  t.match(types.get('schema'), leaf({ type: 'INT32' }))
  t.match(types.get('time'), leaf({ type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }))
  t.match(types.get('hour'), leaf({ type: 'DOUBLE' }))
  t.match(types.get('flag'), leaf({ type: 'BOOLEAN' }))
  t.match(types.get('country'), utf8)
  t.match(types.get('tags'), leaf({ converted_type: 'LIST', num_children: 1 }))
  t.match(types.get('position'), leaf({ type: 'INT32' }))
  t.match(types.get('rank'), leaf({ type: 'DOUBLE' }), 'not all are of 32 bits')
  t.match(types.get('id'), utf8)
  t.same(json, [
    ['candidates', 'id'],
    ['candidates', 'fields'],
  ])
})

t.test('what can be no file of records is refused', async (t) => {
  await t.rejects(there([{ request_id: 'r', nulls: [1] }]), { message: /a property "nulls"/ })
  await t.rejects(there([JSON.parse('{"request_id":"r","__proto__":1}')]), { message: /no names of columns/ })
  await t.rejects(there([]), { message: 'is empty' })
  const handle = await open(join(folder, 'none'), 'wx+')
  await handle.write('{"schema":1}\n')
  await t.rejects(readParquet(handle).next(), { message: /^is no Parquet file/ })
  await handle.close()
})
