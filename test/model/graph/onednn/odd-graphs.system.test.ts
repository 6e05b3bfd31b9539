import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape, type TensorShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import type { ProgramValue } from '../../../../src/model/graph/onednn/create-program.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import { Shared } from '../../../../src/model/graph/onednn/primitives.ts'
import { planNames } from '../../../../src/model/graph/sides/tensor-names.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { answersOf, answerWith, emptyGraph, type Feeds } from '../../../support/compile/run-graph.ts'
import { withoutOnednn } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false
const dice = new Dice(11)

const ids = (width: number): TensorShape => ({ dtype: DataType.INT64, dims: [-1, width] })
const vocabulary = 7

/** x [rows, k] · weights [k, 64]. */
function product(graph: Graph, x: string, k: number): string {
  return graph.node('Gemm', [x, graph.constant('weights', dice.floats(k * 64), [k, 64])])
}

function embedded(graph: Graph, of: string): string {
  return graph.node('Gather', [graph.constant('table', dice.floats(vocabulary * 4), [vocabulary, 4]), of])
}

/** The graph's inputs: `ids`, whole numbers below a table's rows, and floats. */
function feedsFor(graph: Graph, rows: number): Feeds {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }) => {
      const { elemType, shape } = type!.value.value as { elemType: number; shape: { dim: { value: unknown }[] } }
      const [, ...dims] = shape.dim.map(({ value }) => Number((value as { value: bigint }).value))
      const size = dims.reduce((all, side) => all * side, rows)
      if (elemType === DataType.FLOAT) return [name, new ort.Tensor('float32', dice.floats(size), [rows, ...dims])]
      const values = BigInt64Array.from({ length: size }, () => BigInt(dice.below(vocabulary)))
      return [name, new ort.Tensor('int64', values, [rows, ...dims])]
    }),
  )
}

async function open(graph: Graph) {
  await writeFile(join(folder, 'graph.onnx'), graph.toBytes())
  // int8 leaves products of floats in float32.
  const options = { precision: 'int8', requests: planNames.requests, leastWeights: 1 } as const
  return openProgram(folder, { file: 'graph.onnx', context: [], rows: [] }, options)
}

/** Graphs whose answers are those of ONNX Runtime, whatever part of them oneDNN computes. */
const graphs: Record<string, () => Graph> = {
  'integers of bytes from a table': () => {
    const graph = emptyGraph({ ids: ids(2), x: floatShape(-1, 8) })
    const map = graph.constant(
      'map',
      Uint8Array.from({ length: vocabulary }, (_, i) => vocabulary - 1 - i),
      [vocabulary],
    )
    const mapped = graph.node('Cast', [graph.node('Gather', [map, 'ids'])], { attributes: { to: DataType.INT64 } })
    const flat = graph.node('Reshape', [embedded(graph, mapped), graph.integers([-1, 8])])
    answerWith(graph, product(graph, graph.node('Concat', [flat, 'x'], { attributes: { axis: 1 } }), 16))
    return graph
  },
  'columns beside one another whose rows are flat': () => {
    const graph = emptyGraph({ a: ids(1), b: ids(2) })
    const all = graph.node('Concat', ['a', 'b'], { attributes: { axis: 1 } })
    const flat = graph.node('Reshape', [all, graph.integers([-1])])
    const beside = graph.node('Concat', [embedded(graph, flat), embedded(graph, flat)], { attributes: { axis: 1 } })
    answerWith(graph, product(graph, graph.node('Reshape', [beside, graph.integers([-1, 24])]), 24))
    return graph
  },
  'integers of more than 32 bits, computed on the way': () => {
    const graph = emptyGraph({ ids: ids(2), x: floatShape(-1, 8) })
    const large = graph.node('Mul', ['ids', graph.constant('factor', BigInt64Array.of(3_000_000_000n), [1])])
    const floats = graph.node('Cast', [large], { attributes: { to: DataType.FLOAT } })
    const scaled = graph.node('Mul', [floats, graph.constant('scale', Float32Array.of(1e-9), [1])])
    answerWith(graph, product(graph, graph.node('Concat', [scaled, 'x'], { attributes: { axis: 1 } }), 10))
    return graph
  },
  'bytes, computed on the way': () => {
    const graph = emptyGraph({ x: floatShape(-1, 64) })
    const size = graph.node('Abs', [graph.node('Mul', ['x', graph.constant('c', Float32Array.of(100), [1])])])
    const bytes = graph.node('Cast', [size], { attributes: { to: DataType.UINT8 } })
    const weights = Int8Array.from({ length: 64 * 64 }, () => dice.below(9) - 4)
    const sums = graph.node('MatMulInteger', [bytes, graph.constant('weights', weights, [64, 64])])
    answerWith(graph, graph.node('Cast', [sums], { attributes: { to: DataType.FLOAT } }))
    return graph
  },
  'a single column': () => {
    const graph = emptyGraph({ x: floatShape(-1, 8) })
    const column = graph.constant('column', BigInt64Array.of(3n), [])
    answerWith(graph, graph.node('Gather', [product(graph, 'x', 8), column], { attributes: { axis: 1 } }))
    return graph
  },
  'a bias without a name': () => {
    const graph = emptyGraph({ x: floatShape(-1, 8) })
    answerWith(graph, graph.node('Gemm', ['x', graph.constant('weights', dice.floats(8 * 64), [8, 64]), '']))
    return graph
  },
}

for (const [name, make] of Object.entries(graphs))
  t.test(name, { skip }, async (t) => {
    const graph = make()
    const program = await open(graph)
    if (typeof program === 'string') return t.comment(`ONNX Runtime computes it: ${program}`)
    try {
      for (const rows of [1, 3, 130]) {
        const feeds = feedsFor(graph, rows)
        const [expected] = await answersOf(graph, [feeds])
        const actual = await program.run(program.inputs.map(({ name }) => feeds[name] as unknown as ProgramValue))
        for (const { name: output } of graph.outputs) {
          const { values, dims } = expected![output]!
          const apart = distance(values, actual[output]!.data)
          t.ok(apart <= 1e-4, `${rows} rows: ${apart}`)
          t.same(actual[output]!.dims, dims)
        }
      }
    } finally {
      await program.close()
    }
  })

t.test('a float that is no integer of 32 bits is no id', { skip }, async (t) => {
  const graph = emptyGraph({ ids: floatShape(-1, 2) })
  const whole = graph.node('Cast', ['ids'], { attributes: { to: DataType.INT64 } })
  answerWith(graph, product(graph, graph.node('Reshape', [embedded(graph, whole), graph.integers([-1, 8])]), 8))
  const program = await open(graph)
  if (typeof program === 'string') throw new Error(program)
  t.teardown(() => program.close())
  const run = (id: number) => program.run([{ data: Float32Array.of(id, 1), dims: [1, 2] }])
  for (const id of [4294967298, -4294967295, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])
    await t.rejects(run(id), { name: 'RangeError', message: /is cast to an integer, and has more than 32 bits/ })
  await t.rejects(run(7), { name: 'RangeError', message: /has 7 rows, and none for the id 7/ })
  t.equal((await run(6.9)).gemm?.dims.length, 2)
})

t.test('rows that nothing but their requests names are left to ONNX Runtime', { skip }, async (t) => {
  const graph = emptyGraph({ x: floatShape(-1, 8), [planNames.requests]: { dtype: DataType.INT32, dims: [-1] } })
  answerWith(graph, graph.node('Gather', [product(graph, 'x', 8), planNames.requests]))
  await writeFile(join(folder, 'graph.onnx'), graph.toBytes())
  const context = [{ name: 'x', input: 'x', columns: [] }]
  const options = { precision: 'int8', requests: planNames.requests } as const
  t.match(
    await openProgram(folder, { file: 'graph.onnx', context, rows: [] }, options),
    /no input has a row for each row/,
  )
})

t.test('what several use is made once, and freed with the last of them', async (t) => {
  const freed: object[] = []
  const shared = new Shared()
  const make = () => {
    const made = { release: () => void freed.push(made) }
    return made
  }
  const [first, second, other] = [shared.take('a', make), shared.take('a', make), shared.take('b', make)]
  t.equal(first, second)
  t.not(first, other)
  shared.give(first)
  t.same(freed, [])
  shared.give(second)
  t.equal(freed[0], first)
  t.not(shared.take('a', make), first, 'and made again')
  shared.give(other)
  t.same(freed.length, 2)
})
