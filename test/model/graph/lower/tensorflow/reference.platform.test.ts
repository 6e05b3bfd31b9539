import t from 'tap'
import { createOnnxEngine } from '../../../../../src/model/engines/onnx/onnx.ts'
import { optimise } from '../../../../../src/model/graph/compile/optimise.ts'
import { prepare } from '../../../../../src/model/graph/compile/prepare.ts'
import { traceShapes } from '../../../../../src/model/graph/ir/shapes.ts'
import { readGraph } from '../../../../../src/model/graph/lower/read-graph.ts'
import { readTensorflowGraph } from '../../../../../src/model/graph/lower/read-tensorflow-graph.ts'
import type { Side } from '../../../../../src/model/graph/sides/split-graphs.ts'
import { splitSides } from '../../../../../src/model/graph/sides/split-sides.ts'
import { Dice } from '../../../../support/compile/dice.ts'
import { breachOfPlans } from '../../../../support/compile/run-plan.ts'
import { noReference, readReference } from '../../../../support/reference.ts'
import { batchFor, errorOf, referenceGraphs } from '../../../../support/tensorflow/reference-graphs.ts'

/*
 * SavedModels and graph models that TensorFlow's own tools made of the reference models, lowered, against what Keras
 * answers.
 */

const tolerance = 1e-5
/** Operators that every optimised graph must be free of. */
const undone = /^(Constant|Identity|Mul|Div|Sub|Einsum|Squeeze|Unsqueeze|Sqrt|Reciprocal|Less|Where|Shape)$/

t.test('there are reference graphs of both formats', { skip: noReference }, async (t) => {
  t.equal(referenceGraphs.filter(({ source }) => source.format === 'saved_model').length, 8)
  t.equal(referenceGraphs.filter(({ source }) => source.format === 'graph_model').length, 9)
})

for (const { model, name, source } of referenceGraphs)
  t.test(`${model}/${name}`, async (t) => {
    const reference = await readReference(model)
    const [output] = source.outputs as [string]
    const engine = await createOnnxEngine({ threads: 1 })

    const exported = await engine.load(source)
    const batch = batchFor(exported.signature, reference)
    t.same(exported.signature.outputs, [{ name: output, width: 2 }])
    const saved = await exported.run(batch, [output])
    t.ok(errorOf(saved[output]!, reference.probabilities) < tolerance, 'as it was saved')

    const ids = exported.signature.inputs.find(({ width }) => width === reference.shape.sparseFields)!
    const floatIds = model.startsWith('keras3') && !name.includes('int32')
    t.equal(ids.dtype, floatIds ? 'float32' : 'int32')
    const negative = Int32Array.from(batch.inputs[ids.name]!)
    negative[5] = -1
    const refused = { code: 'MODEL_FAILED', message: `the input ${ids.name} holds the id -1` }
    const wrong = { ...batch, inputs: { ...batch.inputs, [ids.name]: negative } }
    await t.rejects(exported.run(wrong, [output]), refused)
    await exported.close()

    const { plan, problem } = await prepare({
      source,
      output,
      sides: undefined,
      fields: {},
      precision: 'float32',
      quantization: undefined,
      identity: '',
      cache: t.testdir(),
      now: 0,
    })
    t.equal(problem, undefined)
    const compiled = await engine.load({ ...source, plan: plan! })
    t.same(compiled.signature, exported.signature)
    const fast = await compiled.run(batch, [output])
    t.ok(errorOf(fast[output]!, reference.probabilities) < tolerance, 'compiled')
    await t.rejects(compiled.run(wrong, [output]), refused, 'a compiled plan refuses negative ids too')
    await compiled.close()

    const graph = await readGraph(source, output)
    const reports = await optimise(graph)
    t.notOk(
      graph.nodes.find(({ opType }) => undone.test(opType)),
      graph.nodes.map(({ opType }) => opType).join(' '),
    )
    t.ok(graph.nodes.length < reports[0]!.nodes / 1.6, `${graph.nodes.length} nodes of ${reports[0]!.nodes}`)
    const count = (opType: string) => graph.nodes.filter((node) => node.opType === opType).length
    // All tasks' gates mix all experts at once.
    if (/moe$/.test(model)) t.same([count('MatMul'), count('Softmax'), count('ReduceSum')], [1, 1, 0])
    const left = reports.flatMap((report) => report.left)
    t.equal(left.length, model === 'keras2/aitm' ? 2 : 0, left.join('\n'))

    const turns: Side[] = ['context', 'candidate', 'candidate', 'cross', 'context']
    const sides = Object.fromEntries(
      exported.signature.inputs.map(({ name, width }) => [
        name,
        Array.from({ length: width }, (_, i) => turns[i % 5]!),
      ]),
    )
    const plans = splitSides(graph, sides)
    if (typeof plans === 'string') throw new Error(plans)
    t.equal(await breachOfPlans(graph, sides, plans, new Dice(1)), undefined, 'by side')
  })

t.test('says the same of shapes as ONNX Runtime', { skip: noReference }, async (t) => {
  for (const { model, name, source } of referenceGraphs) {
    const graph = await readTensorflowGraph(source)
    const said = new Map(graph.shapes)
    await traceShapes(graph)
    for (const [tensor, shape] of graph.shapes) t.same(said.get(tensor), shape, `${model}/${name}: ${tensor}`)
  }
})
