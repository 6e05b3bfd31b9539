import t from 'tap'
import type { Engine } from '../../../../src/model/contracts/engine.ts'
import { createEngine, withFallback } from '../../../../src/model/engines/create.ts'
import { createOnnxEngine } from '../../../../src/model/engines/onnx/onnx.ts'
import { createTensorflowEngine } from '../../../../src/model/engines/tensorflow/tensorflow.ts'
import {
  prepareTensorFlow,
  type TensorFlowBackend,
} from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { DataType } from '../../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { noReference, readReference } from '../../../support/reference.ts'
import { freshFolder } from '../../../support/tensorflow/fresh-folder.ts'
import {
  constant,
  floats,
  functionAttribute,
  functionOf,
  integers,
  node,
  placeholder,
  type,
} from '../../../support/tensorflow/graph-def.ts'
import { batchFor, errorOf, referenceGraphs } from '../../../support/tensorflow/reference-graphs.ts'
import { type HandWritten, saveGraphModel, saveSavedModel } from '../../../support/tensorflow/save-model.ts'

/*
 * TensorFlow's graphs on TensorFlow itself: those of the reference models, and those that the onnx engine can't run.
 */

const { DT_FLOAT: F } = DataType
const noNative = await prepareTensorFlow('native').then(
  () => false as const,
  (error: Error) => error.message,
)

/** No operator of ONNX' is written for this one. */
const cumulative: HandWritten = {
  nodes: [
    placeholder('x'),
    constant('axis', integers([1], [])),
    node('Cumsum', 'out', ['x', 'axis'], { exclusive: false, reverse: false }),
  ],
  inputs: { x: ['x', F, [-1, 3]] },
  outputs: { answer: 'out' },
}
const rows = { rows: 2, inputs: { x: Float32Array.of(1, 2, 3, 4, 5, 6) } }
const sums = [1, 3, 6, 4, 9, 15]

for (const backend of ['native', 'cpu'] satisfies TensorFlowBackend[])
  t.test(`reference graphs on ${backend}`, { skip: noReference || (backend === 'native' && noNative) }, async (t) => {
    const engine = await createTensorflowEngine({ backend })
    for (const { model, name, source } of referenceGraphs) {
      const what = `${model}/${name}`
      if (source.format === 'saved_model' && backend !== 'native') {
        await t.rejects(engine.load(source), {
          code: 'UNSUPPORTED_GRAPH',
          message:
            'saved_model.pb: TensorFlow.js runs SavedModels on native TensorFlow alone, not on cpu: it needs @tensorflow/tfjs-node (in a checkout: npm run setup:tensorflow)',
        })
        continue
      }
      const reference = await readReference(model)
      const [output] = source.outputs as [string]
      const graph = await engine.load(source)
      const batch = batchFor(graph.signature, reference)
      t.same(graph.signature.outputs, [{ name: output, width: 2 }], what)
      const answer = (await graph.run(batch, [output]))[output]!
      t.ok(errorOf(answer, reference.probabilities) < 1e-5, what)
      const ids = graph.signature.inputs.find(({ width }) => width === reference.shape.sparseFields)!
      const wrong = (id: number) => ({
        ...batch,
        inputs: { ...batch.inputs, [ids.name]: Int32Array.from(batch.inputs[ids.name]!).fill(id, 0, 1) },
      })
      await t.rejects(graph.run(wrong(-1), [output]), {
        code: 'MODEL_FAILED',
        message: `the input ${ids.name} holds the id -1`,
      })
      await t.rejects(graph.run(wrong(10_000_000), [output]), { code: 'MODEL_FAILED' })
      t.same((await graph.run(batch, [output]))[output], answer, 'it stays usable')
      t.same(await graph.run({ rows: 0, inputs: {} }, [output]), { [output]: new Float32Array(0) })
      await graph.close()
      await graph.close()
      await t.rejects(graph.run(batch, [output]), { code: 'MODEL_FAILED', message: /is closed/ })
    }
  })

t.test('falls back to TensorFlow for what the onnx engine has no form of', async (t) => {
  const source = await saveGraphModel(await freshFolder(t), cumulative)
  const message = 'model.json: node out (Cumsum): this operator is not supported'
  const forced = await createEngine('onnx', 1)
  await t.rejects(forced.load(source), { code: 'UNSUPPORTED_GRAPH', message })

  const auto = await createEngine('auto', 1)
  const graph = await auto.load(source)
  t.match(graph.signature.engine, /^tensorflow \(/)
  t.same([...(await graph.run(rows, ['answer'])).answer!], sums)
  await graph.close()

  const product = { ...cumulative, nodes: [placeholder('x'), node('Mul', 'out', ['x', 'x'])] }
  const simple = await auto.load(await saveGraphModel(await freshFolder(t), product))
  t.equal(simple.signature.engine, undefined, 'what it can run, it does')
  await t.rejects(
    auto.load({ ...source, file: 'absent.json' }),
    { code: 'INVALID_BUNDLE' },
    'damage is no reason to fall back',
  )
})

t.test('a SavedModel falls back to native TensorFlow', { skip: noNative }, async (t) => {
  const auto = await createEngine('auto', 1)
  const graph = await auto.load(await saveSavedModel(await freshFolder(t), cumulative))
  t.equal(graph.signature.engine, 'tensorflow (native)')
  t.same([...(await graph.run(rows, ['answer'])).answer!], sums)
  await graph.close()
})

t.test('makes the other engine only when it is needed, once, and names both reasons', async (t) => {
  const onnx = await createOnnxEngine({ threads: 1 })
  let made = 0
  const refuses: Engine = {
    name: 'other',
    load: async () => {
      throw new Error('not by me')
    },
  }
  const engine = withFallback(onnx, async () => {
    made++
    return refuses
  })
  const product = { ...cumulative, nodes: [placeholder('x'), node('Mul', 'out', ['x', 'x'])] }
  await (await engine.load(await saveGraphModel(await freshFolder(t), product))).close()
  t.equal(made, 0)
  const source = await saveGraphModel(await freshFolder(t), cumulative)
  for (let i = 0; i < 2; i++)
    await t.rejects(engine.load(source), {
      code: 'UNSUPPORTED_GRAPH',
      message: 'model.json: node out (Cumsum): this operator is not supported. Nor by TensorFlow: not by me',
    })
  t.equal(made, 1)
  const missing = { ...source, format: 'onnx' as const, file: 'absent.onnx' }
  await t.rejects(engine.load(missing), { code: 'INVALID_BUNDLE' })
})

t.test('runs branches, which TensorFlow.js computes asynchronously', async (t) => {
  const branch = (name: string, op: string) => functionOf(name, ['v'], [node(op, 'result', ['v'])], { r: 'result:y:0' })
  const model: HandWritten = {
    ...cumulative,
    nodes: [
      placeholder('x'),
      constant('axes', integers([0, 1])),
      node('Sum', 'sum', ['x', 'axes'], { keep_dims: false }),
      constant('ten', floats([], [10])),
      node('Greater', 'more', ['sum', 'ten']),
      node('StatelessIf', 'out', ['more', 'x'], {
        then_branch: functionAttribute('then'),
        else_branch: functionAttribute('otherwise'),
      }),
    ],
    functions: [branch('then', 'Neg'), branch('otherwise', 'Abs')],
  }
  const source = await saveGraphModel(await freshFolder(t), model)
  const engine = await createTensorflowEngine({ backend: 'cpu' })
  const graph = await engine.load(source)
  t.same([...(await graph.run({ rows: 1, inputs: { x: Float32Array.of(-1, 2, -3) } }, ['answer'])).answer!], [1, 2, 3])
  t.same([...(await graph.run(rows, ['answer'])).answer!], [-1, -2, -3, -4, -5, -6])
  const before = (await prepareTensorFlow('cpu')).tf.memory().numTensors
  for (let i = 0; i < 3; i++) await graph.run(rows, ['answer'])
  t.equal((await prepareTensorFlow('cpu')).tf.memory().numTensors, before, 'and frees what it made')
  await graph.close()
})

t.test('refuses what TensorFlow.js does not know, by name, when it is loaded', async (t) => {
  const engine = await createTensorflowEngine({ backend: 'cpu' })
  const unknown = { ...cumulative, nodes: [placeholder('x'), node('Frobnicate', 'out', ['x'])] }
  await t.rejects(engine.load(await saveGraphModel(await freshFolder(t), unknown)), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^model.json: .*Frobnicate/,
  })
  const whole = {
    ...cumulative,
    nodes: [placeholder('x'), constant('axes', integers([0])), node('Sum', 'out', ['x', 'axes'])],
  }
  await t.rejects(engine.load(await saveGraphModel(await freshFolder(t), whole)), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'model.json: the output answer is not a row for a row: [3]',
  })
})

t.test('lists of any length get that of their field, and masks are booleans', async (t) => {
  const { DT_BOOL: B, DT_INT32: I } = DataType
  const source = await saveGraphModel(await freshFolder(t), {
    nodes: [
      placeholder('hist', I),
      placeholder('mask', B),
      node('Cast', 'values', ['hist'], { SrcT: type(I), DstT: type(F) }),
      node('Cast', 'kept', ['mask'], { SrcT: type(B), DstT: type(F) }),
      node('Mul', 'product', ['values', 'kept']),
      constant('axis', integers([1])),
      node('Sum', 'out', ['product', 'axis'], { keep_dims: true }),
    ],
    inputs: { hist: ['hist', I, [-1, -1]], mask: ['mask', B, [-1, -1]] },
    outputs: { answer: 'out' },
  })
  const tensors = [
    { tensor: 'hist', first: 0, width: 3, is: 'values' as const },
    { tensor: 'mask', first: 0, width: 3, is: 'mask' as const, padding: 7 },
  ]
  const ids = { dtype: 'int32' as const, tensors: [], columns: [], fields: { width: 3, tensors } }
  for (const engine of [await createTensorflowEngine({ backend: 'cpu' }), await createEngine('onnx', 1)]) {
    const graph = await engine.load({ ...source, joined: { inputs: { ids }, outputs: {} } })
    t.same(graph.signature.inputs, [{ name: 'ids', dtype: 'int32', width: 3 }], engine.name)
    const { answer } = await graph.run({ rows: 2, inputs: { ids: Int32Array.of(1, 2, 7, 7, 4, 7) } }, ['answer'])
    t.same([...answer!], [3, 4], engine.name)
    await graph.close()
  }
  const engine = await createTensorflowEngine({ backend: 'cpu' })
  await t.rejects(engine.load(source), {
    code: 'UNSUPPORTED_GRAPH',
    message: /the input hist is not rows of a fixed width/,
  })
})
