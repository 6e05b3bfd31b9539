import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { PassReport } from '../../../../src/model/contracts/compiled-plan.ts'
import { multiplicationsOf, optimise, passReport } from '../../../../src/model/graph/compile/optimise.ts'
import { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import type { Side } from '../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../src/model/graph/sides/split-sides.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { answersOf, type Feeds, operatorsOf } from '../../../support/compile/run-graph.ts'
import { breachOfPlans } from '../../../support/compile/run-plan.ts'
import { noReference, readReference, referenceModels } from '../../../support/reference.ts'

/*
 * Graphs that others wrote: what tf2onnx made of the reference models, and what PyTorch's two exporters made of small
 * ones (test/fixtures/pytorch/export.py), each with what its own framework answers.
 */

/** Tests run from build/test/model/graph/lower/. */
const pytorch = join(import.meta.dirname, '../../../../../test/fixtures/pytorch')

/** Operators that every optimised graph must be free of. */
const undone = /^(Constant|Identity|BatchNormalization|Mul|Div|Sub|Einsum|Flatten|Squeeze|Unsqueeze)$/

async function read(path: string): Promise<Graph> {
  return Graph.parse(await readFile(path), '.')
}

/** The largest difference of the graph's first output from these values. */
async function errorOf(graph: Graph, feeds: Feeds, expected: ArrayLike<number>): Promise<number> {
  const [answers] = await answersOf(graph, [feeds])
  const { values } = answers![graph.outputs[0]!.name]!
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
}

/** Multiplications before chains are merged, which buys fewer calls with more of them. */
function beforeChains(reports: PassReport[]): number {
  return reports.find(({ pass }) => pass === 'merge siblings')!.multiplications
}

/**
 * Holds an optimised graph to answering the same by side: its columns are the context's, candidates' and both, by
 * turns.
 */
async function bySide(t: Test, graph: Graph): Promise<void> {
  const turns: Side[] = ['context', 'candidate', 'candidate', 'cross', 'context']
  const sides = Object.fromEntries(
    graph.inputs.map(({ name }) => [
      name,
      Array.from({ length: graph.shapes.get(name)!.dims[1]! }, (_, i) => turns[i % 5]!),
    ]),
  )
  const plans = splitSides(graph, sides)
  if (typeof plans === 'string') throw new Error(plans)
  t.ok(plans.shared_context && plans.cached && plans.candidate_encoder)
  t.ok(multiplicationsOf(plans.cached!.graph) < multiplicationsOf(plans.shared_context!.graph))
  t.ok(multiplicationsOf(plans.shared_context!.graph) < multiplicationsOf(graph))
  t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
}

const io = JSON.parse(await readFile(join(pytorch, 'io.json'), 'utf8'))
const modelOf = (file: string) => file.replace(/-(script|dynamo)\.onnx$/, '')
// shop.onnx is that of docs/from-pytorch.md; models with lists are tested with `init`.
const exported = readdirSync(pytorch)
  .filter((name) => /-(script|dynamo)\.onnx$/.test(name))
  .filter((file) => io.probabilities[modelOf(file)] ?? io.towers[modelOf(file)])
const files = exported.filter((file) => io.towers[modelOf(file)] === undefined)
t.same([files.length, exported.length], [10, 20])

for (const file of files)
  t.test(`PyTorch's ${file}`, async (t) => {
    const model = modelOf(file)
    const graph = await read(join(pytorch, file))
    const rows: number = io.ids.length
    const feeds = {
      ids: new ort.Tensor('int64', BigInt64Array.from(io.ids.flat(), BigInt), [rows, io.ids[0].length]),
      dense: new ort.Tensor('float32', Float32Array.from(io.dense.flat()), [rows, io.dense[0].length]),
    }
    const expected: number[] = io.probabilities[model].flat()
    t.ok((await errorOf(graph, feeds, expected)) < 1e-6, 'as exported')

    const reports = await optimise(graph)
    t.ok((await errorOf(graph, feeds, expected)) < 1e-5)
    // All gates in one product are a mixture already, of experts that are one tensor.
    const left = model === 'mmoe-parameters' ? [/^MatMul .*not a known form of a mixture of experts/] : []
    t.match(
      reports.flatMap((report) => report.left),
      left,
    )
    t.equal(reports.flatMap((report) => report.left).length, left.length)
    t.ok(graph.nodes.length < reports[1]!.nodes)
    t.ok(beforeChains(reports) <= reports[1]!.multiplications)
    t.notOk(
      graph.nodes.find(({ opType }) => undone.test(opType)),
      operatorsOf(graph),
    )
    const count = (opType: string) => graph.nodes.filter((node) => node.opType === opType).length
    if (model === 'shared-bottom') t.match(operatorsOf(graph), /Concat Gemm Relu Gemm Relu Gemm Relu Gemm Sigmoid$/)
    else t.same([count('MatMul'), count('Softmax'), count('ReduceSum')], [1, 1, 0], 'one mixture for both tasks')
    await bySide(t, graph)
  })

/**
 * Multiplications per row, and once a request, of the shared-context variant; of a graph with a user and a candidate.
 */
const towers: Record<string, { shared: [number, number]; cached: number } | string> = {
  'two-towers': { shared: [204, 216], cached: 0 },
  // The tower has 99.95 % of them.
  'user-tower': { shared: [330, 619_584], cached: 180 },
  // Keys and values of the history are computed once.
  'target-attention': { shared: [256, 96], cached: 224 },
  'two-heads': { shared: [104, 0], cached: 104 },
  // Its projections are constants' parts: products of weights, which are counted.
  'two-heads-dynamo': { shared: [120, 96], cached: 104 },
  // Each item of the history attends to the candidate: nothing of it is the user's alone.
  'last-item': 'no product of features was found: Reshape',
}

for (const file of exported.filter((file) => !files.includes(file)))
  t.test(`PyTorch's ${file}`, async (t) => {
    const model = modelOf(file)
    const { ids, user, probabilities } = io.towers[model]
    const graph = await read(join(pytorch, file))
    const feeds = {
      ids: new ort.Tensor('int64', BigInt64Array.from(ids.flat(), BigInt), [ids.length, ids[0].length]),
      dense: new ort.Tensor('float32', Float32Array.from(io.dense.flat()), [ids.length, io.dense[0].length]),
    }
    await optimise(graph)
    t.ok((await errorOf(graph, feeds, probabilities.flat())) < 1e-5)
    const side = (ofUser: boolean): Side => (ofUser ? 'context' : 'candidate')
    const sides = {
      ids: ids[0].map((_: number, column: number) => side(column < user)),
      dense: [true, true, false].map(side),
    }
    const plans = splitSides(graph, sides)
    const expected = towers[file.replace('.onnx', '')] ?? towers[model]!
    if (typeof expected === 'string' || typeof plans === 'string')
      return t.ok(String(plans).startsWith(String(expected)), String(plans))
    const { multiplications, multiplications_once } = passReport(plans.shared_context!.graph, '', 0)
    t.same([multiplications, multiplications_once], expected.shared)
    t.equal(multiplicationsOf(plans.cached!.graph), expected.cached)
    // Scores stay as the product leaves them, head by head, and the request's mask is a limit to them.
    const moved = plans.shared_context!.graph.nodes.filter(({ opType }) => opType === 'Transpose')
    const heads = moved.filter(({ attribute }) => attribute[0]!.ints.length === 5 && attribute[0]!.ints[1] === 2n)
    if (model === 'two-heads') t.equal(heads.length, 2, 'queries by head, and what they find by row')
    t.notMatch(operatorsOf(plans.shared_context!.graph), /Where Softmax/)
    t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined)
  })

/** tf2onnx names outputs after the signature. */
for (const model of referenceModels)
  for (const file of ['model.onnx', 'model_int32.onnx'])
    t.test(`tf2onnx' ${model}/${file}`, { skip: noReference }, async (t) => {
      const { folder, batch, probabilities } = await readReference(model)
      if (!existsSync(join(folder, file))) return t.equal(file, 'model_int32.onnx', 'every model has the other')
      const graph = await read(join(folder, file))
      const feeds: Feeds = {}
      for (const { name, type } of graph.inputs) {
        if (type?.value.case !== 'tensorType') throw new Error(`${name} is no tensor`)
        const { shape, elemType } = type.value.value
        const width = Number(shape!.dim[1]!.value.value)
        const values = Object.values(batch.inputs).find(({ length }) => length === batch.rows * width)!
        const dims = [batch.rows, width]
        feeds[name] =
          elemType === DataType.FLOAT
            ? new ort.Tensor('float32', Float32Array.from(values), dims)
            : new ort.Tensor('int32', Int32Array.from(values), dims)
      }
      const reports = await optimise(graph)
      t.ok((await errorOf(graph, feeds, probabilities)) < 1e-5)
      t.ok(graph.nodes.length < reports[0]!.nodes / 1.8, `${graph.nodes.length} nodes of ${reports[0]!.nodes}`)
      t.ok(beforeChains(reports) < reports[0]!.multiplications)
      t.notOk(
        graph.nodes.find(({ opType }) => undone.test(opType)),
        operatorsOf(graph),
      )
      if (/moe$/.test(model)) t.equal(graph.nodes.filter(({ opType }) => opType === 'MatMul').length, 1)
      await bySide(t, graph)
    })
