import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tensor } from 'onnxruntime-node'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { JoinedRequests } from '../../../../src/model/graph/onednn/joined-requests.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import type { OpenProgram } from '../../../../src/model/graph/onednn/stages.ts'
import { amxTiling, avx512Tiling } from '../../../../src/model/graph/onednn/tiling.ts'
import type { Frame } from '../../../../src/model/graph/rows/program.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { answersOf, answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { withoutOnednn } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

/** Columns of x and of the contexts, and the layer's width; with blocks of 64 columns, x has room for 14 requests. */
const [columns, contextColumns, width] = [100, 6, 256]

const dice = new Dice(5)
const graph = emptyGraph({
  context: floatShape(-1, contextColumns),
  x: floatShape(-1, columns),
  requests: { dtype: DataType.INT32, dims: [-1] },
})
const weightsOf = (name: string, k: number, n: number) => graph.constant(name, dice.floats(k * n), [k, n])
const contexts = graph.node(
  'Gemm',
  ['context', weightsOf('c', contextColumns, width), graph.constant('bias', dice.floats(width), [width])],
  { shape: floatShape(-1, width) },
)
const own = graph.node('Gather', [contexts, 'requests'], { shape: floatShape(-1, width) })
const sum = graph.node('Gemm', ['x', weightsOf('w', columns, width), own], { shape: floatShape(-1, width) })
const hidden = graph.node('Relu', [sum], { shape: floatShape(-1, width) })
const output = graph.node('MatMul', [hidden, weightsOf('v', width, 64)], { shape: floatShape(-1, 64) })
answerWith(graph, output)
await writeFile(join(folder, 'graph.onnx'), graph.toBytes())

/** A program of the graph, which joins requests, and what runs it on requests with these numbers of rows. */
async function open(tiling = amxTiling): Promise<{ program: OpenProgram; run(feeds: Feeds): Promise<Float32Array> }> {
  const named = (name: string) => ({ name, input: name, columns: [] })
  const program = await openProgram(
    folder,
    { file: 'graph.onnx', context: [named('context')], rows: [named('x')] },
    { precision: 'bfloat16', requests: 'requests', tiling },
  )
  if (typeof program === 'string') throw new Error(program)
  const run = async (feeds: Feeds) => {
    const { [output]: answers } = await program.run(
      program.inputs.map(({ name }) => {
        const { data, dims } = feeds[name as keyof Feeds]
        return { data: data as Float32Array, dims }
      }),
    )
    return answers!.data.slice()
  }
  return { program, run }
}

type Feeds = Record<'context' | 'x' | 'requests', Tensor>

function feedsOf(counts: readonly number[]): Feeds {
  const numbers = counts.flatMap((count, request) => new Array<number>(count).fill(request))
  const { length: rows } = numbers
  return {
    context: new ort.Tensor('float32', dice.floats(counts.length * contextColumns), [counts.length, contextColumns]),
    x: new ort.Tensor('float32', dice.floats(rows * columns), [rows, columns]),
    requests: new ort.Tensor('int32', Int32Array.from(numbers), [rows]),
  }
}

/** The same, each row a request: the graph has one number of rows for all inputs. */
function withContextOfEachRow({ context, x, requests }: Feeds): Feeds {
  const rows = requests.dims[0]!
  const all = [...(requests.data as Int32Array)].flatMap((request) => [
    ...(context.data as Float32Array).subarray(request * contextColumns, (request + 1) * contextColumns),
  ])
  return {
    x,
    context: new ort.Tensor('float32', all, [rows, contextColumns]),
    requests: new ort.Tensor(
      'int32',
      Int32Array.from({ length: rows }, (_, row) => row),
      [rows],
    ),
  }
}

for (const [name, tiling] of Object.entries({ 'in one call': amxTiling, 'in calls of their own': avx512Tiling }))
  t.test(`requests ${name} have the answers of their own contexts`, { skip }, async (t) => {
    const { program, run } = await open(tiling)
    t.teardown(() => program.close())
    // One request, few and many, more than there is room for; single ones between them find nothing of those before.
    for (const counts of [
      [5],
      [3, 20, 7],
      [40],
      Array(30).fill(9),
      [1, 1],
      [128],
      Array(200).fill(1),
      [9],
      [128, 128],
    ]) {
      const feeds = feedsOf(counts)
      const [expected] = await answersOf(graph, [withContextOfEachRow(feeds)])
      const wanted = expected![output]!.values
      const actual = await run(feeds)
      const most = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const apart = wanted.reduce((apart, value, i) => Math.max(apart, Math.abs(value - actual[i]!)), 0)
      t.ok(apart > 0 && apart < 0.01 * most, `${counts.length} × ${counts[0]}: ${apart} of ${most}`)
      t.same(await run(feeds), actual, 'the same call has the same answer')
    }
  })

t.test('a context that overflows changes no other request', { skip }, async (t) => {
  const { program, run } = await open()
  t.teardown(() => program.close())
  const counts = Array<number>(20).fill(6)
  const feeds = feedsOf(counts)
  const others = (values: Float32Array) => [...values].filter((_, i) => Math.floor(i / 64 / 6) !== 8)
  const before = others(await run(feeds))
  for (const value of [3e38, -3e38, Number.NaN, Number.POSITIVE_INFINITY]) {
    const context = (feeds.context.data as Float32Array).slice()
    context.fill(value, 8 * contextColumns, 9 * contextColumns)
    t.same(
      others(await run({ ...feeds, context: new ort.Tensor('float32', context, feeds.context.dims) })),
      before,
      `${value}`,
    )
    t.same(others(await run(feeds)), before, 'and nothing afterwards')
  }
})

t.test('requests are joined where that saves more than their contexts cost', async (t) => {
  const x = { format: 'bfloat16', buffer: 0, offset: 0, stride: 128, columns: 128 } as const
  const frame = { integers: new Int32Array(64 * 1024), at: [0] } as unknown as Frame
  const joins = (counts: readonly number[], k = 100) => {
    const starts = Int32Array.from([0, ...counts])
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!
    const joined = new JoinedRequests(x, k, amxTiling)
    joined.mark(frame, { rows: starts.at(-1)!, requests: counts.length, starts, feeds: [] })
    return joined.isActive
  }
  t.ok(joins([20, 30, 40]))
  t.ok(joins([100, 100, 100, 100, 100]))
  t.ok(joins(Array(200).fill(1)))
  t.notOk(joins([100]), 'there is one')
  t.notOk(joins([128, 128, 128]), 'each fills a call')
  t.notOk(joins([20, 30, 40], 122), 'there is no room')
})
