import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t from 'tap'
import { compile } from '../../../../src/model/compile/compile.ts'
import { constantsOf, findLiveTables } from '../../../../src/model/compile/live/find-live-tables.ts'
import type { LiveColumns } from '../../../../src/model/contracts/live-tables.ts'
import type { Graph } from '../../../../src/model/graph/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/onnx_pb.ts'
import { traceShapes } from '../../../../src/model/graph/shapes.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { exampleModel, withPlan } from '../../../support/compile/random-model.ts'
import { answerWith, emptyGraph, reread } from '../../../support/compile/run-graph.ts'
import { liveColumnsOf } from '../../../support/live-overlay.ts'

const live = (...columns: number[]): LiveColumns => ({
  input: 'ids',
  columns: columns.map((column) => ({ column, offset: 0, ids: 5 })),
})

/** Ids [batch, 2] and what `build` computes from them and a table [6, 3]. */
async function graphOf(build: (graph: Graph, table: string) => string): Promise<Graph> {
  const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1, 2] } })
  const table = graph.constant(
    'table',
    Float32Array.from({ length: 18 }, (_, i) => i / 10),
    [6, 3],
  )
  const result = build(graph, table)
  graph.node('Sigmoid', [result], { outputs: ['y'] })
  answerWith(graph, 'y')
  return reread(graph)
}

const look = (graph: Graph, table: string, ids = 'ids') => graph.node('Gather', [table, ids])
const flat = (graph: Graph, rows: string, width: number) => graph.node('Reshape', [rows, graph.integers([-1, width])])
const column = (graph: Graph, i: number) =>
  graph.node('Gather', ['ids', graph.constant('i', BigInt64Array.of(BigInt(i)), [1])], { attributes: { axis: 1 } })

t.test('finds the tables of live columns', async (t) => {
  const graph = await graphOf((graph, table) => {
    const other = graph.constant('other', new Float32Array(14), [7, 2])
    const first = flat(graph, look(graph, table, column(graph, 0)), 3)
    const second = flat(graph, look(graph, other, column(graph, 1)), 2)
    return graph.node('Concat', [first, second], { attributes: { axis: 1 } })
  })
  await traceShapes(graph)
  const found = findLiveTables(graph, live(0, 1), constantsOf(graph))
  if (typeof found === 'string') return t.fail(found)
  t.same(
    [...found.tables].map(([name, { width, columns }]) => [name, width, columns.map(({ column }) => column)]),
    [
      ['table', 3, [0]],
      ['other', 2, [1]],
    ],
  )
  t.same([found.inputWidth, found.lookUps.length], [2, 2])
})

t.test('says why a column has no live table', async (t) => {
  const cases: [string, (graph: Graph, table: string) => string, RegExp][] = [
    [
      'not looked up',
      (graph) => graph.node('Cast', ['ids'], { attributes: { to: DataType.FLOAT } }),
      /^column 0 of ids is not looked up in a table$/,
    ],
    [
      'two tables',
      (graph, table) => {
        const other = graph.constant('other', new Float32Array(18), [6, 3])
        return graph.node('Add', [look(graph, table), look(graph, other)])
      },
      /^column 0 of ids is looked up in more than one table: table and other$/,
    ],
    [
      'weights shared with a product',
      (graph, table) => {
        const transposed = graph.node('Transpose', [table], { attributes: { perm: [1, 0] } })
        return graph.node('MatMul', [flat(graph, look(graph, table, column(graph, 0)), 3), transposed])
      },
      /^the table table is not read by look-ups alone$/,
    ],
    [
      'ids of two columns',
      (graph, table) => look(graph, table, graph.node('Add', [column(graph, 0), column(graph, 1)])),
      /looks up rows of table by ids that are computed from more than one column each$/,
    ],
    [
      'fixed rows',
      (graph, table) => {
        const fixed = look(graph, table, graph.constant('fixed', BigInt64Array.of(2n), [1]))
        return graph.node('Add', [look(graph, table), fixed])
      },
      /looks up fixed rows of the table table$/,
    ],
  ]
  for (const [name, build, reason] of cases) {
    const graph = await graphOf(build)
    await traceShapes(graph)
    t.match(findLiveTables(graph, live(0), constantsOf(graph)), reason, name)
  }
  const small = await graphOf((graph, table) => look(graph, table))
  await traceShapes(small)
  const columns = [{ column: 1, offset: 4, ids: 5 }]
  t.match(
    findLiveTables(small, { input: 'ids', columns }, constantsOf(small)),
    /has 6 rows, fewer than column 1 of ids has ids$/,
  )
})

t.test('a table that the compiler rewrites is not live; the graph is compiled without', async (t) => {
  const graph = await graphOf((graph, table) => {
    const rows = flat(graph, look(graph, table, column(graph, 0)), 3)
    const [starts, ends, axes] = [[0], [2], [1]].map((values) => graph.integers(values)) as [string, string, string]
    const kernel = graph.constant('kernel', new Float32Array(4).fill(1), [2, 2])
    return graph.node('MatMul', [graph.node('Slice', [rows, starts, ends, axes]), kernel])
  })
  const compiled = await compile(graph, { sides: undefined, fields: {}, quantization: undefined, live: live(0) })
  t.match(compiled.liveProblem, /^the compiler rewrites the table table/)
  t.equal(compiled.live, undefined)
  t.same(
    compiled.float32.full.graph.inputs.map(({ name }) => name),
    ['ids'],
  )
})

t.test('a plan without live columns has nothing of them', async (t) => {
  const cache = join(await temporaryFolder(t), 'cache')
  const textOf = async (folder: string) => {
    const files = (await readdir(folder)).sort()
    return (await Promise.all(files.map((file) => readFile(join(folder, file), 'latin1')))).join('\n')
  }
  const keys: string[] = []
  for (const changes of [{}, { live: liveColumnsOf(exampleModel, [1]) }]) {
    // With a cache the plan is in a folder of that, which goes with it.
    await withPlan(
      exampleModel,
      join(cache, '..', 'model'),
      async ({ folder, description }) => {
        keys.push(basename(folder))
        t.equal(/multigate:(?:slots|overlay)/.test(await textOf(folder)), 'live' in changes)
        t.equal(description.live !== undefined, 'live' in changes)
      },
      { ...changes, cache },
    )
  }
  t.equal(new Set(keys).size, 2, 'one is not taken for the other')
})
