import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type FieldIds, quantiseTable, type TableScales } from '../../../../src/model/graph/int8/quantised-table.ts'
import { isExternal } from '../../../../src/model/graph/ir/constants.ts'
import { external, externalPlace } from '../../../../src/model/graph/ir/external-data.ts'
import { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'

const folder = await temporaryFolder(t)

function graphWith(values: Float32Array, dim: number, inFile?: string): Graph {
  const graph = new Graph({ inputs: [], outputs: [], nodes: [], constants: [], folder, opsets: new Map() })
  const rows = values.length / dim
  graph.constant('table', values, [rows, dim])
  if (inFile !== undefined) {
    const like = { name: 'table', dataType: DataType.FLOAT, dims: [BigInt(rows), BigInt(dim)] }
    graph.constants.set('table', external(like, inFile, 8, values.byteLength))
  }
  return graph
}

/** The bytes of a rounded table. */
async function bytesOf(graph: Graph, scales: TableScales): Promise<Uint8Array> {
  scales.addTo(graph)
  const tensor = graph.constants.get(scales.name)!
  if (!isExternal(tensor)) return tensor.rawData
  const { location, start, length } = externalPlace(tensor)
  const bytes = await readFile(join(graph.folder, location))
  return bytes.subarray(start, start + length!)
}

const table = fc.record({
  seed: fc.nat(),
  dim: fc.integer({ min: 1, max: 6 }),
  /** Ids of each field, and of no field after it. */
  fields: fc.array(fc.record({ ids: fc.nat(9), gap: fc.nat(2) }), { minLength: 1, maxLength: 5 }),
  /** How large values are. */
  scale: fc.constantFrom(1e-6, 1, 1e6),
})

function blocksOf(fields: { ids: number; gap: number }[]): { blocks: FieldIds[]; rows: number } {
  let rows = 0
  const blocks = fields.map(({ ids, gap }) => {
    const offset = rows
    rows += ids + gap
    return { offset, ids }
  })
  return { blocks, rows: rows + 1 }
}

t.test('each value is within half a step of its own field and dimension; a file holds the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(table, async ({ seed, dim, fields, scale }) => {
      const { blocks, rows } = blocksOf(fields.filter(({ ids, gap }) => ids + gap > 0))
      const values = new Dice(seed).floats(rows * dim, scale)
      const inMemory = graphWith(values, dim)
      const scales = quantiseTable(inMemory, 'table', blocks)
      const bytes = await bytesOf(inMemory, scales)
      if (bytes.length !== rows * dim) throw new Error(`${bytes.length} bytes`)
      for (const field of blocks)
        for (let row = field.offset; row < field.offset + field.ids; row++)
          for (let d = 0; d < dim; d++) {
            const [step, lo] = scales.at(field, d)
            const apart = Math.abs(values[row * dim + d]! - (lo + step * bytes[row * dim + d]!))
            if (!(apart <= step * 0.501)) throw new Error(`row ${row}: ${apart} of ${step}`)
          }
      await writeFile(join(folder, 'table.bin'), Buffer.concat([Buffer.alloc(8, 7), Buffer.from(values.buffer)]))
      const inFile = graphWith(values, dim, 'table.bin')
      const same = await bytesOf(inFile, quantiseTable(inFile, 'table', blocks))
      if (Buffer.compare(same, bytes) !== 0) throw new Error('a file has other bytes')
    }),
    { numRuns: randomCases(60) },
  )
})

t.test('rows of no field are 0, and without fields all rows have one range', async (t) => {
  const graph = graphWith(Float32Array.of(1, 2, 3, 4, 5, 6), 1)
  const scales = quantiseTable(graph, 'table', [
    { offset: 1, ids: 2 },
    { offset: 4, ids: 1 },
  ])
  t.same([...(await bytesOf(graph, scales))], [0, 0, 255, 0, 0, 0])
  t.same(scales.at({ offset: 4, ids: 1 }, 0), [1, 5], 'one value alone is exact')
  const whole = graphWith(Float32Array.of(0, 51, 255), 1)
  const all = quantiseTable(whole, 'table', undefined)
  t.same([...(await bytesOf(whole, all))], [0, 51, 255])
  t.same(all.at(undefined, 0), [1, 0])
  t.same(all.at({ offset: 2, ids: 1 }, 0), [1, 0])
})

t.test('a field that reaches beyond the end of the table has the ids that there are', async (t) => {
  const graph = graphWith(Float32Array.of(0, 255, 7, 9), 2)
  const field = { offset: 1, ids: 1000 }
  const beyond = { offset: 2000, ids: 3 }
  const scales = quantiseTable(graph, 'table', [{ offset: 0, ids: 1 }, field, beyond])
  t.same([...(await bytesOf(graph, scales))], [0, 0, 0, 0])
  t.same(
    [scales.at(field, 0), scales.at(field, 1)],
    [
      [1, 7],
      [1, 9],
    ],
  )
  t.same(scales.at(beyond, 0), [1, 0])
})

t.test('a large table is read piece by piece', async (t) => {
  // More than 4 MiB of 3 floats a row, which no piece of 4 MiB divides.
  const rows = 400_000
  const values = new Dice(2).floats(rows * 3)
  await writeFile(join(folder, 'large.bin'), Buffer.concat([Buffer.alloc(8), Buffer.from(values.buffer)]))
  const [inMemory, inFile] = [graphWith(values, 3), graphWith(values, 3, 'large.bin')]
  const [a, b] = [quantiseTable(inMemory, 'table', undefined), quantiseTable(inFile, 'table', undefined)]
  t.equal(Buffer.compare(await bytesOf(inMemory, a), await bytesOf(inFile, b)), 0)
  t.same(b.at(undefined, 2), a.at(undefined, 2))
})

t.test('tables whose names are alike have files of their own', async (t) => {
  await writeFile(
    join(folder, 'table.bin'),
    Buffer.concat([Buffer.alloc(8), Buffer.from(Float32Array.of(0, 1).buffer)]),
  )
  await writeFile(
    join(folder, 'other.bin'),
    Buffer.concat([Buffer.alloc(8), Buffer.from(Float32Array.of(1, 0).buffer)]),
  )
  const graph = graphWith(Float32Array.of(0, 1), 1, 'table.bin')
  const like = { dataType: DataType.FLOAT, dims: [2n, 1n] }
  graph.constants.set('a/b', external({ name: 'a/b', ...like }, 'table.bin', 8, 8))
  graph.constants.set('a_b', external({ name: 'a_b', ...like }, 'other.bin', 8, 8))
  const [one, other] = [quantiseTable(graph, 'a/b', undefined), quantiseTable(graph, 'a_b', undefined)]
  t.same([...(await bytesOf(graph, one))], [0, 255])
  t.same([...(await bytesOf(graph, other))], [255, 0])
})

t.test('a file that ends too early is refused', async (t) => {
  const values = new Dice(2).floats(30)
  await writeFile(join(folder, 'short.bin'), Buffer.concat([Buffer.alloc(8), Buffer.from(values.buffer)]))
  await truncate(join(folder, 'short.bin'), 100)
  t.throws(() => quantiseTable(graphWith(values, 3, 'short.bin'), 'table', undefined), {
    message: 'short.bin ends too early',
  })
  t.throws(() => quantiseTable(graphWith(values, 3, 'nowhere.bin'), 'table', undefined), { code: 'ENOENT' })
})
