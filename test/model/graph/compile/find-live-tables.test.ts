import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { LiveColumns, LiveTable } from '../../../../src/model/contracts/live-tables.ts'
import { LiveInputs } from '../../../../src/model/engines/plan/open-graphs.ts'
import { type CompileOptions, compile } from '../../../../src/model/graph/compile/compile.ts'
import { findLiveTables } from '../../../../src/model/graph/compile/find-live-tables.ts'
import { constantOf, floatsOf } from '../../../../src/model/graph/ir/constants.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { emptyOverlay, extended } from '../../../../src/model/serving/deltas/overlay.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { exampleModel, withPlan } from '../../../support/compile/random-model.ts'
import {
  type Answers,
  answersOf,
  answerWith,
  differenceOf,
  emptyGraph,
  type Feeds,
  reread,
} from '../../../support/compile/run-graph.ts'
import { liveColumnsOf } from '../../../support/live-overlay.ts'

const live = (...columns: number[]): LiveColumns => ({
  input: 'ids',
  columns: columns.map((column) => ({ column, offset: 0, ids: 5 })),
})

/** Ids [batch, 2], x [batch, 1], and what `build` computes from them and a table [6, 3]. */
async function graphOf(build: (graph: Graph, table: string) => string): Promise<Graph> {
  const graph = emptyGraph({ ids: { dtype: DataType.INT32, dims: [-1, 2] }, x: floatShape(-1, 1) })
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
  const found = await findLiveTables(graph, live(0, 1))
  if (typeof found === 'string') return t.fail(found)
  t.same(
    [...found].map(([name, { width, columns }]) => [name, width, columns.map(({ column }) => column)]),
    [
      ['table', 3, [0]],
      ['other', 2, [1]],
    ],
  )
  t.same([...graph.variables], ['table', 'other'], 'no pass may compute others from them')
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
      /^the table table is not read by look-ups alone: Transpose transpose reads it$/,
    ],
    [
      'a transposed copy of the table',
      (graph, table) => {
        const values = graph.floats(table)!
        const copy = Float32Array.from({ length: 18 }, (_, i) => values[(i % 6) * 3 + Math.floor(i / 6)]!)
        const weights = graph.constant('copy', copy, [3, 6])
        return graph.node('MatMul', [flat(graph, look(graph, table, column(graph, 0)), 3), weights])
      },
      /^copy holds the same values as the table table, and would keep them$/,
    ],
    [
      'a copy of the table',
      (graph, table) => {
        const copy = graph.constant('copy', graph.floats(table)!.slice(), [6, 3])
        return graph.node('Add', [look(graph, table, column(graph, 0)), look(graph, copy, column(graph, 1))])
      },
      /^copy holds the same values as the table table/,
    ],
    [
      'an output that is the table',
      (graph, table) => {
        answerWith(graph, table)
        return look(graph, table)
      },
      /^the table table is an output of the graph$/,
    ],
    [
      'rows in another order',
      (graph, table) =>
        look(graph, table, graph.node('Sub', [graph.constant('last', Int32Array.of(5), []), column(graph, 0)])),
      /^the rows of table that column 0 of ids is looked up in are not one after the other$/,
    ],
    [
      'two rows for an id',
      (graph, table) => {
        const next = graph.node('Add', [column(graph, 0), graph.constant('one', Int32Array.of(1), [])])
        return graph.node('Add', [look(graph, table, column(graph, 0)), look(graph, table, next)])
      },
      /^the ids of column 0 of ids are looked up in different rows of table: 0 and 1$/,
    ],
    [
      'ids of two columns',
      (graph, table) => look(graph, table, graph.node('Add', [column(graph, 0), column(graph, 1)])),
      /looks up rows of table by ids that are not computed from one column each$/,
    ],
  ]
  for (const [name, build, reason] of cases) {
    const graph = await graphOf(build)
    t.match(await findLiveTables(graph, live(0)), reason, name)
  }
  const small = await graphOf((graph, table) => look(graph, table))
  const columns = [{ column: 1, offset: 4, ids: 5 }]
  t.match(await findLiveTables(small, { input: 'ids', columns }), /has 6 rows, fewer than column 1 of ids has ids$/)
})

/** Answers for every pair of ids 0 … 4, and numbers: with rows of the table written in, or in its overlay. */
async function answersFor(graph: Graph, rows: Record<number, number>, live?: LiveTable): Promise<Answers[]> {
  const ids = Array.from({ length: 25 }, (_, i) => [Math.floor(i / 5), i % 5]).flat()
  const feeds: Feeds = {
    ids: new ort.Tensor('int32', Int32Array.from(ids), [25, 2]),
    x: new ort.Tensor(
      'float32',
      Float32Array.from({ length: 25 }, (_, i) => (i % 6) + 0.5),
      [25, 1],
    ),
  }
  const changed = Object.entries(rows)
  if (live !== undefined) {
    const inputs = new LiveInputs({ tables: [live] })
    const values = changed.flatMap(([, value]) => [value, value, value])
    const ids = Uint32Array.from(changed, ([row]) => Number(row))
    const delta = { field: 'a', width: 3, ids, rows: Float32Array.from(values) }
    const fields = [{ name: 'a', ids: 6, width: 3, table: 0, first: 0 }]
    const tables = extended(
      emptyOverlay([live]),
      [{ model: '', version: '', base: '', sequence: 1, tables: [delta] }],
      fields,
    )
    inputs.set({ ...emptyOverlay([live]), number: 1, tables })
    for (const [name, { data, dims }] of Object.entries(inputs.feeds))
      feeds[name] = new ort.Tensor(data instanceof Float32Array ? 'float32' : 'int32', data as Int32Array, dims)
    return answersOf(graph, [feeds])
  }
  const written = reread(graph)
  const table = written.constants.get('table')!
  const values = floatsOf(table)!.slice()
  for (const [row, value] of changed) values.fill(value, 3 * Number(row), 3 * Number(row) + 3)
  written.constants.set('table', constantOf('table', values, [6, 3]))
  return answersOf(written, [feeds])
}

t.test('every look-up of a live table reads a changed row, whatever its ids are', async (t) => {
  const plus = (graph: Graph, ids: string, value: number) =>
    graph.node('Add', [ids, graph.constant('number', Int32Array.of(value), [])])
  const add = (graph: Graph, table: string, ids: string, own = column(graph, 0)) =>
    graph.node('Add', [flat(graph, look(graph, table, own), 3), flat(graph, look(graph, table, ids), 3)])
  const cases: Record<string, (graph: Graph, table: string) => string> = {
    'one look-up of all columns': (graph, table) => flat(graph, look(graph, table), 6),
    'another column': (graph, table) => add(graph, table, column(graph, 1)),
    'another name of the table': (graph, table) => add(graph, graph.node('Identity', [table]), column(graph, 1)),
    'other rows for the same ids': (graph, table) => add(graph, table, plus(graph, column(graph, 1), 1)),
    'another input': (graph, table) =>
      add(graph, table, graph.node('Cast', ['x'], { attributes: { to: DataType.INT32 } })),
    'ids of two columns': (graph, table) => add(graph, table, graph.node('Max', [column(graph, 0), column(graph, 1)])),
    'fixed rows': (graph, table) => add(graph, table, graph.constant('fixed', BigInt64Array.of(2n), [1])),
    'rows counted from the end': (graph, table) => add(graph, table, plus(graph, column(graph, 1), -5)),
    'an axis counted from the end': (graph, table) =>
      graph.node('Add', [
        flat(graph, look(graph, table, column(graph, 0)), 3),
        flat(graph, graph.node('Gather', [table, column(graph, 1)], { attributes: { axis: -2 } }), 3),
      ]),
    'some columns of the rows': (graph, table) => {
      const [starts, ends, axes] = [[0], [2], [1]].map((values) => graph.integers(values)) as [string, string, string]
      return graph.node('Slice', [add(graph, table, column(graph, 1)), starts, ends, axes])
    },
    'ids within bounds': (graph, table) => {
      const [least, most] = [0, 5].map((value) => graph.constant('bound', Int32Array.of(value), []))
      return add(graph, table, column(graph, 1), graph.node('Clip', [column(graph, 0), least!, most!]))
    },
    'an output of its own': (graph, table) => {
      const rows = graph.node('Gather', [table, column(graph, 1)], { outputs: ['z'] })
      answerWith(graph, 'z')
      return graph.node('Add', [flat(graph, look(graph, table, column(graph, 0)), 3), flat(graph, rows, 3)])
    },
  }
  for (const [name, build] of Object.entries(cases)) {
    const graph = await graphOf(build)
    const rows = { 2: 0.5, 3: -0.75, 5: 2 }
    const expected = await answersFor(graph, rows)
    t.ok(differenceOf(await answersFor(graph, {}), expected), `${name}: the rows count`)
    const compiled = await compile(graph, { sides: undefined, fields: {}, quantization: undefined, live: live(0) })
    const own = compiled.live?.get('table')
    if (own === undefined) t.fail(`${name}: ${compiled.liveProblem}`)
    else t.equal(differenceOf(expected, await answersFor(compiled.float32.full.graph, rows, own)), undefined, name)
  }
})

t.test('readers are known where values of single columns are looked up', async (t) => {
  const readersOf = async (ids: (graph: Graph) => string) => {
    const graph = await graphOf((graph, table) => {
      const rows = [look(graph, table, column(graph, 0)), look(graph, table, ids(graph))]
      return graph.node(
        'Add',
        rows.map((name) => flat(graph, name, 3)),
      )
    })
    const found = await findLiveTables(graph, live(0))
    if (typeof found === 'string') throw new Error(found)
    return found.get('table')!.readers
  }
  const own = { input: 'ids', column: 0, added: 0 }
  const one = (graph: Graph) => graph.constant('one', Int32Array.of(1), [])
  t.same(await readersOf((graph) => column(graph, 1)), [own, { input: 'ids', column: 1, added: 0 }])
  t.same(await readersOf((graph) => graph.node('Add', [column(graph, 1), one(graph)])), [
    own,
    { input: 'ids', column: 1, added: 1 },
  ])
  t.equal(await readersOf((graph) => graph.node('Max', [column(graph, 0), column(graph, 1)])), undefined)
  t.equal(await readersOf((graph) => graph.node('Mod', [column(graph, 1), one(graph)])), undefined)
})

t.test('columns whose rows can not change are looked up as before', async (t) => {
  const graph = await graphOf((graph, table) => flat(graph, look(graph, table), 6))
  const fields = (...offsets: number[]) => ({ ids: offsets.map((offset) => ({ offset, ids: 3 })) })
  const liveOnes = { input: 'ids', columns: [{ column: 0, offset: 0, ids: 3 }] }
  const countOf = async (ids: CompileOptions['fields']) => {
    const compiled = await compile(reread(graph), {
      sides: undefined,
      fields: ids,
      quantization: undefined,
      live: liveOnes,
    })
    const { nodes } = compiled.float32.full.graph
    return [
      nodes.filter(({ opType }) => opType === 'Where').length,
      nodes.filter(({ input }) => input[0] === 'table').length,
    ]
  }
  t.same(await countOf({}), [1, 1], 'all may change')
  t.same(await countOf(fields(0, 2)), [1, 1], 'they share a row')
  t.same(await countOf(fields(0, 3)), [1, 2], 'each is looked up by itself')
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
        t.equal(/multigate:(?:pages|slots|overlay)/.test(await textOf(folder)), 'live' in changes)
        t.equal(description.live !== undefined, 'live' in changes)
      },
      { ...changes, cache },
    )
  }
  t.equal(new Set(keys).size, 2, 'one is not taken for the other')
})
