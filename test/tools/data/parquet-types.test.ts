import { parquetMetadata, parquetSchema, type SchemaElement, type SchemaTree } from 'hyparquet'
import t from 'tap'
import {
  listColumn,
  numberColumn,
  parquetTypeOf,
  stringColumn,
  ValueError,
  withConvertedType,
} from '../../../src/tools/data/parquet-column.ts'
import { MissingTexts, TextList } from '../../../src/tools/data/text-columns.ts'
import { parquetOf, parquetOfLists } from '../../support/parquet.ts'

const leaf = (element: Partial<SchemaElement>) =>
  parquetTypeOf({ element: { name: 'x', ...element }, children: [], count: 1, path: ['x'] })

t.test('types of columns', async (t) => {
  const file = parquetOf([
    { name: 'word', data: ['a'], type: 'STRING' },
    { name: 'json', data: [{ a: 1 }], type: 'JSON' },
    { name: 'flag', data: [true], type: 'BOOLEAN' },
    { name: 'small', data: [1], type: 'INT32' },
    { name: 'large', data: [1n], type: 'INT64' },
    { name: 'ratio', data: [0.5], type: 'DOUBLE' },
    { name: 'at', data: [new Date(0)], type: 'TIMESTAMP' },
  ])
  const { children } = parquetSchema(parquetMetadata(new Uint8Array(file)))
  t.same(
    children.map((child) => parquetTypeOf(child).description),
    ['a string', 'a string', 'a number', 'a number', 'a number', 'a number', 'a time'],
  )
})

t.test('types that can not be used say what they are', async (t) => {
  t.same(leaf({ type: 'BYTE_ARRAY' }), { read: undefined, description: 'binary' })
  t.same(leaf({ type: 'BYTE_ARRAY', converted_type: 'BSON' }), { read: undefined, description: 'binary' })
  t.same(leaf({ type: 'FIXED_LEN_BYTE_ARRAY', converted_type: 'INTERVAL' }).description, 'an interval')
  t.same(leaf({ type: 'INT32', converted_type: 'TIME_MILLIS' }).description, 'a time of day')
  t.same(leaf({ type: 'INT32', converted_type: 'TIME_MILLIS', repetition_type: 'REPEATED' }).read, undefined)
  const children = [{ element: { name: 'y' }, children: [], count: 1, path: ['x', 'y'] }]
  const group = (element: Partial<SchemaElement>) =>
    parquetTypeOf({ element: { name: 'x', ...element }, children, count: 2, path: ['x'] }).description
  t.equal(group({ converted_type: 'LIST' }), 'a list')
  t.equal(group({ logical_type: { type: 'MAP' } }), 'a map')
  t.equal(group({}), 'a struct')
})

t.test('lists of values can be used, lists of anything else not', async (t) => {
  const file = parquetOfLists([
    { name: 'words', type: 'strings', data: [['a']] },
    { name: 'ids', type: 'integers', data: [[1n]] },
  ])
  const { children } = parquetSchema(parquetMetadata(new Uint8Array(file)))
  t.same(children.map(parquetTypeOf), [
    { read: 'list', items: 'string', description: 'a list of strings' },
    { read: 'list', items: 'double', description: 'a list of numbers' },
  ])
  t.match(leaf({ type: 'INT32', repetition_type: 'REPEATED' }), { read: 'list', items: 'double' })
  const node = (element: Partial<SchemaElement>, children: SchemaTree[] = []): SchemaTree => {
    return { element: { name: 'x', ...element }, children, count: 1, path: ['x'] }
  }
  const list = (item: SchemaTree) => node({ converted_type: 'LIST' }, [node({ repetition_type: 'REPEATED' }, [item])])
  const nulls = node({ type: 'INT32', logical_type: { type: 'NULL' } })
  t.same(
    [nulls, list(nulls)].map((child) => parquetTypeOf(child).description),
    ['a null', 'a list of nulls'],
  )
  t.equal(parquetTypeOf(list(list(node({ type: 'INT32' })))).description, 'a list of lists')
  t.equal(parquetTypeOf(list(node({}, [node({ type: 'INT32' })]))).description, 'a list of structs')
  t.equal(parquetTypeOf(list(node({ type: 'BYTE_ARRAY' }))).description, 'a list of binary')
  const older = node({ converted_type: 'LIST' }, [node({ type: 'INT32', repetition_type: 'REPEATED' })])
  t.match(parquetTypeOf(older), { read: 'list', items: 'double' })
})

t.test('lists of pages', async (t) => {
  const texts = new TextList(new MissingTexts([]))
  const [a, b, c] = ['a', 'b', 'c'].map((text) => texts.add(Buffer.from(text)))
  const words = listColumn(
    [
      [[a, b], null],
      [[], [c, null]],
    ],
    4,
    texts,
  )
  t.same([0, 1, 2, 3].map(words.at), [['a', 'b'], null, [], ['c', null]])
  const error = t.throws(() => listColumn([[[1n], [2n, 2n ** 60n]]], 2)) as ValueError
  t.same(
    [error.row, error.message],
    [1, 'holds 1152921504606846976, beyond ±2^53: write ids as strings, and times as timestamps or in microseconds'],
  )
})

t.test('a type given by its newer name alone', async (t) => {
  const decimal = withConvertedType({
    name: 'x',
    type: 'INT32',
    logical_type: { type: 'DECIMAL', precision: 9, scale: 2 },
  })
  t.match(decimal, { converted_type: 'DECIMAL', scale: 2 })
  t.equal(withConvertedType({ name: 'x', logical_type: { type: 'STRING' } }).converted_type, 'UTF8')
  t.equal(withConvertedType({ name: 'x', logical_type: { type: 'UUID' } }).converted_type, undefined)
})

t.test('columns of pages', async (t) => {
  const texts = new TextList(new MissingTexts(['?', 'é']))
  const [a, missing, b] = ['a', '?', 'b'].map((text) => texts.add(Buffer.from(text)))
  t.equal(texts.add(Buffer.from('é')), -1)
  t.throws(() => texts.add(Buffer.of(0xc3)), { message: 'holds text that is not UTF-8' })
  const words = stringColumn(
    [
      [a, null],
      [missing, b, a],
    ],
    5,
    texts,
  )
  t.same([0, 1, 2, 3, 4].map(words.at), ['a', null, null, 'b', 'a'])
  const mixed = numberColumn([Float32Array.of(0.5), [Number.NaN, undefined, 2n, true]], 5)
  t.same([0, 1, 2, 3, 4].map(mixed.at), [0.5, Number.NaN, null, 2, 1])
  t.throws(
    () => numberColumn([[0n], [2n ** 53n]], 2),
    new ValueError(
      1,
      `holds ${2n ** 53n}, beyond ±2^53: write ids as strings, and times as timestamps or in microseconds`,
    ),
  )
  t.throws(() => numberColumn([[1]], 2), { message: 'ends after 1 of the 2 rows of a row group' })
})
