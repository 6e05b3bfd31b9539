import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  encodeQuantizationRows,
  mostQuantizationRows,
  type QuantizationRows,
  readQuantizationRows,
} from '../../../../src/model/serving/bundle/quantization.ts'
import type { Bundle } from '../../../../src/model/serving/bundle/read.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const file = 'rows/quantization.bin'
const { features } = exampleManifest()
const sparseFeatures = features.filter(({ kind }) => kind !== 'numeric')
const denseFeatures = features.filter(({ kind }) => kind === 'numeric')

/** Rows of the example's fields: ids of country 0 … 2, hour 3 … 26, campaign 27 … 29, creative 30 … 79. */
const example = (): QuantizationRows => ({
  rows: 3,
  sparse: Int32Array.of(0, 3, 27, 30, 1, 26, 28, 79, 2, 10, 29, 50),
  dense: Float32Array.of(-0.5, 30, 0, 1, 1.5, -2),
  labels: Float32Array.of(0, Number.NaN, 1, 0, 1, 1),
})

function bundleIn(folder: string, { rows, labels }: QuantizationRows, changes: Partial<Manifest> = {}): Bundle {
  const quantization = { file, rows, labels: labels !== undefined }
  return { folder, manifest: exampleManifest({ quantization, ...changes }) }
}

/** Writes the rows' bytes and reads them again. */
async function roundTrip(folder: string, rows: QuantizationRows, changes: Partial<Manifest> = {}) {
  await mkdir(join(folder, 'rows'), { recursive: true })
  await writeFile(join(folder, file), encodeQuantizationRows(rows))
  return readQuantizationRows(bundleIn(folder, rows, changes))
}

const refused = (message: string | RegExp) => ({ name: 'ModelError', code: 'INVALID_BUNDLE', message })

t.test('a version without them has none', async (t) => {
  t.equal(await readQuantizationRows({ folder: t.testdir({}), manifest: exampleManifest() }), undefined)
})

t.test('the bytes are little-endian: ids, numbers, labels', async (t) => {
  const bytes = encodeQuantizationRows({
    rows: 1,
    sparse: Int32Array.of(258),
    dense: Float32Array.of(1),
    labels: Float32Array.of(0, Number.NaN),
  })
  t.equal(bytes.toString('hex'), `02010000${'0000803f'}${'00000000'}${'0000c07f'}`)
})

t.test('with and without labels, sparse fields, numeric fields', async (t) => {
  const { rows, sparse, dense, labels } = example()
  t.same(await roundTrip(t.testdir({}), example()), example())
  const unlabelled = { rows, sparse, dense, labels: undefined }
  t.same(await roundTrip(t.testdir({}), unlabelled), unlabelled)
  const numbers = { rows, sparse: new Int32Array(), dense, labels }
  t.same(await roundTrip(t.testdir({}), numbers, { features: denseFeatures }), numbers)
  const ids = { rows, sparse, dense: new Float32Array(), labels }
  t.same(await roundTrip(t.testdir({}), ids, { features: sparseFeatures }), ids)
})

const id = (first: number, last: number) => fc.integer({ min: first, max: last })
const number = fc.float({ noNaN: true, noDefaultInfinity: true })
const label = fc.constantFrom(0, 1, Number.NaN)
const row = fc.tuple(id(0, 2), id(3, 26), id(27, 29), id(30, 79), number, number, label, label)

t.test('what is encoded is read again, bit for bit', async (t) => {
  const folder = t.testdir({})
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 50 }), fc.boolean(), async (values, labelled) => {
      const rows: QuantizationRows = {
        rows: values.length,
        sparse: Int32Array.from(values.flatMap((value) => value.slice(0, 4))),
        dense: Float32Array.from(values.flatMap((value) => value.slice(4, 6))),
        labels: labelled ? Float32Array.from(values.flatMap((value) => value.slice(6))) : undefined,
      }
      const read = await roundTrip(folder, rows)
      // Buffers, so that −0 is not 0.
      const bits = (values: Int32Array | Float32Array | undefined) => values && Buffer.from(values.buffer)
      return (
        read?.rows === rows.rows &&
        bits(read.sparse)!.equals(bits(rows.sparse)!) &&
        bits(read.dense)!.equals(bits(rows.dense)!) &&
        read.labels?.length === rows.labels?.length &&
        (read.labels ?? []).every((value, i) => Object.is(value, rows.labels![i]))
      )
    }),
    { numRuns: randomCases(50) },
  )
})

t.test('a file of another size is refused with both sizes', async (t) => {
  const folder = t.testdir({})
  await roundTrip(folder, example())
  const bundle = bundleIn(folder, example())
  for (const size of [0, 95, 97, 1000]) {
    await truncate(join(folder, file), size)
    await t.rejects(
      readQuantizationRows(bundle),
      refused(`ads/1/${file} has ${size} bytes, not 96 as its manifest says`),
    )
  }
  await t.rejects(
    readQuantizationRows(bundleIn(folder, { ...example(), labels: undefined })),
    refused(/not 72 as its/),
    'labels count only where there are any',
  )
})

const wrong: [what: string, change: (rows: QuantizationRows) => void, message: string][] = [
  [
    'an id above its field',
    ({ sparse }) => sparse.fill(3, 8, 9),
    '/sparse/2/0 is 3, not an id of country: must be from 0 to 2',
  ],
  [
    'an id below its field',
    ({ sparse }) => sparse.fill(26, 6, 7),
    '/sparse/1/2 is 26, not an id of campaign: must be from 27 to 29',
  ],
  [
    'a negative id',
    ({ sparse }) => sparse.fill(-1, 0, 1),
    '/sparse/0/0 is -1, not an id of country: must be from 0 to 2',
  ],
  [
    'an id above all',
    ({ sparse }) => sparse.fill(80, 11, 12),
    '/sparse/2/3 is 80, not an id of creative: must be from 30 to 79',
  ],
  ['no number', ({ dense }) => dense.fill(Number.NaN, 0, 1), '/dense/0/0 is NaN: price must be finite'],
  [
    'an infinite number',
    ({ dense }) => dense.fill(Number.NEGATIVE_INFINITY, 5, 6),
    '/dense/2/1 is -Infinity: age must be finite',
  ],
  [
    'a label between',
    ({ labels }) => labels!.fill(0.5, 3, 4),
    '/labels/1/1 is 0.5: a label of cvr must be 1, 0 or NaN',
  ],
  ['a label below', ({ labels }) => labels!.fill(-1, 0, 1), '/labels/0/0 is -1: a label of ctr must be 1, 0 or NaN'],
]
for (const [what, change, message] of wrong) {
  t.test(`${what} is refused with the place`, async (t) => {
    const rows = example()
    change(rows)
    await t.rejects(roundTrip(t.testdir({}), rows), refused(`ads/1/${file}: ${message}`))
  })
}

t.test('a file that is missing or a folder is refused', async (t) => {
  const folder = t.testdir({ rows: {} })
  const bundle = bundleIn(folder, example())
  const error = await readQuantizationRows(bundle).catch((error: Error) => error)
  t.match(error, refused(`ads/1/${file} can't be read: it is missing`))
  t.notMatch(error, { message: folder })
  await rm(join(folder, 'rows'), { recursive: true })
  await mkdir(join(folder, file), { recursive: true })
  await t.rejects(readQuantizationRows(bundle), refused(/^ads\/1\/rows\/quantization\.bin /))
})

t.test('more rows or bytes than allowed are neither read nor written', async (t) => {
  const rows = mostQuantizationRows + 1
  const [sparse, labels] = [new Int32Array(), undefined]
  const dense = new Float32Array(rows)
  t.throws(() => encodeQuantizationRows({ rows, sparse, dense, labels }), refused(/^quantization rows: 100001 rows/))
  await t.rejects(
    readQuantizationRows(bundleIn(t.testdir({}), { ...example(), rows })),
    refused(`ads/1/${file}: 100001 rows are more than 100000`),
  )
  const [field] = denseFeatures
  const wide = Array.from({ length: 1000 }, (_, i) => ({ ...field!, name: `n${i}` }))
  await t.rejects(
    readQuantizationRows(bundleIn(t.testdir({}), { ...example(), rows: 100_000 }, { features: wide })),
    refused(`ads/1/${file}: 400800000 bytes are more than 268435456`),
  )
})
