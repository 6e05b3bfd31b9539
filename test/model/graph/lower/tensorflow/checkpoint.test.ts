import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import t, { type Test } from 'tap'
import { openCheckpoint } from '../../../../../src/model/graph/lower/tensorflow/checkpoint.ts'
import {
  BundleEntryProtoSchema,
  BundleHeaderProtoSchema,
  DataType,
  BundleHeaderProto_Endianness as Endianness,
} from '../../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { fc, randomCases } from '../../../../support/cases.ts'
import { noReference, readReference } from '../../../../support/reference.ts'
import { freshFolder } from '../../../../support/tensorflow/fresh-folder.ts'
import { shapeProto } from '../../../../support/tensorflow/graph-def.ts'
import { variableEntries } from '../../../../support/tensorflow/save-model.ts'
import { writeTable } from '../../../../support/tensorflow/table-writer.ts'

const prefix = 'variables/variables'
const dataFile = `${prefix}.data-00000-of-00001`

type Header = MessageInitShape<typeof BundleHeaderProtoSchema>
type Entry = MessageInitShape<typeof BundleEntryProtoSchema>

/** A checkpoint of these entries over 64 bytes of data. */
async function saved(t: Test, entries: Record<string, Entry>, header: Header = { numShards: 1 }) {
  // Each has a folder of its own: a test saves several.
  const folder = await freshFolder(t)
  await mkdir(join(folder, 'variables'))
  const encoded = Object.entries(entries).map(([key, entry]): [string, Uint8Array] => [
    key,
    toBinary(BundleEntryProtoSchema, create(BundleEntryProtoSchema, entry)),
  ])
  const first: [string, Uint8Array] = ['', toBinary(BundleHeaderProtoSchema, create(BundleHeaderProtoSchema, header))]
  await writeFile(join(folder, `${prefix}.index`), await writeTable([first, ...encoded]))
  await writeFile(join(folder, dataFile), new Uint8Array(64))
  return folder
}

const vector = { dtype: DataType.DT_FLOAT, shape: shapeProto([4]), size: 16n }

t.test('reads what was written', async (t) => {
  const folder = t.testdir()
  await mkdir(join(folder, 'variables'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.float(), { maxLength: 30 }), { minLength: 1, maxLength: 8 }),
      async (lists) => {
        const variables = Object.fromEntries(
          lists.map((list, i) => [`v${i}`, { shape: [list.length], values: Float32Array.from(list) }]),
        )
        const { entries, data } = await variableEntries(variables)
        await writeFile(join(folder, `${prefix}.index`), await writeTable(entries))
        await writeFile(join(folder, dataFile), data)
        const checkpoint = await openCheckpoint(folder, prefix)
        for (const [name, { values, shape }] of Object.entries(variables)) {
          const tensor = checkpoint.find(`${name}/value`)
          if (tensor.shape.join() !== shape.join() || tensor.type !== 'float32') throw new Error(`${name} is another`)
          await checkpoint.verify(tensor)
          const bytes = Buffer.from(values.buffer)
          if (Buffer.compare(await checkpoint.read(tensor), bytes) !== 0) throw new Error(`${name} has other values`)
        }
      },
    ),
    { numRuns: randomCases(20) },
  )
})

t.test('reads what TensorFlow wrote', { skip: noReference }, async (t) => {
  const { folder, weights } = await readReference('keras2/mmoe')
  const checkpoint = await openCheckpoint(join(folder, 'checkpoint'), 'model')
  const tensor = checkpoint.find('experts/0/layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE')
  const bytes = await checkpoint.read(tensor)
  const expected = weights.get('expert_0/dense_0/kernel')!
  t.same(tensor.shape, expected.shape)
  t.same([...new Float32Array(bytes.buffer)], [...expected.values])
})

t.test('refuses what an index says wrongly, naming file and tensor', async (t) => {
  const wrong: [string, Entry, string | RegExp][] = [
    [
      'a shape of other bytes',
      { ...vector, shape: shapeProto([5]) },
      `${prefix}.index: v: its 16 bytes are not those of float [5]`,
    ],
    ['2^40 elements', { ...vector, shape: shapeProto([2 ** 20, 2 ** 20]) }, /its 16 bytes are not those of float/],
    ['a negative side', { ...vector, shape: shapeProto([-4]) }, /are not those of float \[-4\]/],
    ['two negative sides', { ...vector, shape: shapeProto([-2, -2]) }, /are not those of/],
    ['an unknown rank', { ...vector, shape: { unknownRank: true } }, /are not those of/],
    ['a file that is none', { ...vector, shardId: 1 }, `${prefix}.index: v: lies in file 1 of 1`],
    ['a file before the first', { ...vector, shardId: -1 }, /lies in file -1 of 1/],
  ]
  for (const [what, entry, message] of wrong) {
    const checkpoint = await openCheckpoint(await saved(t, { v: entry }), prefix)
    t.throws(() => checkpoint.find('v'), { code: 'INVALID_BUNDLE', message }, what)
  }
  const unsupported: [string, Entry, RegExp][] = [
    ['strings', { ...vector, dtype: DataType.DT_STRING }, /v: its type string is not supported/],
    ['slices', { ...vector, slices: [{ extent: [{}] }] }, /v: is stored in slices/],
  ]
  for (const [what, entry, message] of unsupported) {
    const checkpoint = await openCheckpoint(await saved(t, { v: entry }), prefix)
    t.throws(() => checkpoint.find('v'), { code: 'UNSUPPORTED_GRAPH', message }, what)
  }
  const checkpoint = await openCheckpoint(await saved(t, { v: vector }), prefix)
  for (const key of ['w', ''])
    t.throws(() => checkpoint.find(key), {
      code: 'INVALID_BUNDLE',
      message: `${prefix}.index: there is no tensor ${key}`,
    })
})

t.test('refuses places outside of the data, and other data', async (t) => {
  for (const offset of [49n, 64n, 2n ** 62n, -1n]) {
    const checkpoint = await openCheckpoint(await saved(t, { v: { ...vector, offset } }), prefix)
    const refused = {
      code: 'INVALID_BUNDLE',
      message: /variables\.index: v: its bytes .* lie outside of variables\.data-/,
    }
    await t.rejects(checkpoint.read(checkpoint.find('v')), refused)
    await t.rejects(checkpoint.verify(checkpoint.find('v')), refused)
  }
  const folder = await saved(t, { v: vector })
  const checkpoint = await openCheckpoint(folder, prefix)
  const damaged = { code: 'INVALID_BUNDLE', message: `${dataFile}: v, at byte 0: is damaged: its checksum is another` }
  await t.rejects(checkpoint.read(checkpoint.find('v')), damaged)
  await t.rejects(checkpoint.verify(checkpoint.find('v')), damaged)
  await truncate(join(folder, dataFile), 8)
  await t.rejects((await openCheckpoint(folder, prefix)).read(checkpoint.find('v')), { message: /lie outside/ })
  await t.rejects(openCheckpoint(folder, 'variables/absent'), {
    code: 'INVALID_BUNDLE',
    message: 'variables/absent.index: is missing',
  })
  const shards = await openCheckpoint(await saved(t, { v: { ...vector, shardId: 1 } }, { numShards: 2 }), prefix)
  await t.rejects(shards.read(shards.find('v')), { message: `${prefix}.data-00001-of-00002: is missing` })
})

t.test('refuses headers that are none', async (t) => {
  const big = saved(t, {}, { numShards: 1, endianness: Endianness.BIG })
  await t.rejects(openCheckpoint(await big, prefix), { code: 'UNSUPPORTED_GRAPH', message: /big-endian/ })
  const folder = t.testdir()
  await mkdir(join(folder, 'variables'))
  await writeFile(join(folder, `${prefix}.index`), await writeTable([['a', Uint8Array.of(1)]]))
  await t.rejects(openCheckpoint(folder, prefix), { code: 'INVALID_BUNDLE', message: `${prefix}.index: has no header` })
  await writeFile(join(folder, `${prefix}.index`), await writeTable([['', Uint8Array.of(255, 255)]]))
  await t.rejects(openCheckpoint(folder, prefix), { code: 'INVALID_BUNDLE', message: /the header: is damaged/ })
})
