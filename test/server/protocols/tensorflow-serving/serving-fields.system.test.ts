import { join } from 'node:path'
import t from 'tap'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import type { Features } from '../../../../src/schemas/features.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { emptyGraph } from '../../../support/empty-graph.ts'
import { startTestServer } from '../../../support/server.ts'
import { serving } from '../../../support/serving-body.ts'

/* Models with a manifest whose fields and tensors could be taken for each other. */

const number = { side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' } as const

/** A manifest over `graph`, which takes one input a field. */
function manifestOf(features: Features, graph: Omit<Manifest['graph'], 'format' | 'file'>, tasks: string[]) {
  const manifest: Omit<Manifest, 'files'> = {
    manifest: 1,
    name: 'm',
    version: '1',
    features,
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: { format: 'onnx', file: 'model.onnx', ...graph },
    precision: 'float32',
  }
  return manifest
}

t.test('of one field, and of one task, values stand bare', async (t) => {
  const graph = emptyGraph()
  graph.inputs.push(declare('ids', { dtype: DataType.INT32, dims: [-1, 1] }))
  const table = graph.constant('table', Float32Array.of(0, 1, 2, 3), [4, 1])
  const looked = graph.node('Reshape', [graph.node('Gather', [table, 'ids']), graph.integers([-1, 1])])
  graph.node('Sigmoid', [looked], { outputs: ['p'] })
  graph.outputs.push(declare('p', floatShape(-1, 1)))
  const models = await temporaryFolder(t)
  const campaign: Features = [
    {
      name: 'campaign',
      side: 'candidate',
      kind: 'vocabulary',
      values: ['a', 'b', 'c'],
      out_of_vocabulary: 'bucket',
      missing: 'error',
    },
  ]
  await writeBundle(join(models, 'm/1'), {
    manifest: manifestOf(campaign, { inputs: { sparse: 'ids' }, outputs: { probabilities: 'p' } }, ['ctr']),
    files: { 'model.onnx': graph.toBytes() },
  })
  const { fastify } = await startTestServer(t, { models })
  const answer = async (body: unknown) => JSON.parse((await serving(fastify, 'm:predict', body)).text)
  const [a, unknown] = (await answer({ instances: [{ campaign: 'a' }, { campaign: 'z' }] })).predictions
  t.ok(Math.abs(a - 1 / (1 + Math.exp(-1))) < 1e-6)
  t.equal(unknown, 0.5)
  t.same(await answer({ instances: ['a', { b64: 'eg==' }] }), { predictions: [a, unknown] })
  t.same(await answer({ inputs: ['a', 'z'] }), { outputs: [a, unknown] })
  t.same(await answer({ inputs: { campaign: ['a'] } }), { outputs: [a] })
  t.same(await answer({ signature_name: 'features', instances: ['a'] }), { predictions: [a] })
  t.same(await answer({ instances: [[1], [0]] }), { predictions: [a, unknown] }, 'as the tensor')
  t.same(await answer({ instances: [1, 0] }), { predictions: [a, unknown] }, 'as the tensor, one number a row')
  t.same(await answer({ inputs: { ids: [[1]] } }), { outputs: [a] }, 'as the tensor by its name')
  t.same(await answer({ instances: ['a', 7] }), { error: '/instances/1 must be a string, not a number' })
  t.same(await answer({ inputs: ['a', 7] }), { error: '/inputs/1 must be a string, not a number' })
  t.same(await answer({ inputs: ['a', { b64: '-' }] }), { error: '/inputs/1 must be base64 of UTF-8 text' })
  t.same(await answer({ instances: [9] }), { error: '/instances/0/0 is not an id of campaign: must be from 0 to 3' })
  t.same(await answer({ signature_name: 'features', instances: [] }), {
    error: '/instances must be an array of at least one row, not an empty one',
  })
})

t.test('a name that a field and a tensor have is the field, unless the graph is asked by its signature', async (t) => {
  const graph = emptyGraph()
  for (const name of ['price', 'age']) graph.inputs.push(declare(name, floatShape(-1)))
  const sum = graph.node('Reshape', [graph.node('Sub', ['price', 'age']), graph.integers([-1, 1])])
  graph.node('Sigmoid', [sum], { outputs: ['p'] })
  graph.outputs.push(declare('p', floatShape(-1, 1)))
  const models = await temporaryFolder(t)
  // Its fields are not those that the graph's inputs are called after: it halves the price.
  const features: Features = [
    { ...number, name: 'price', scaling: { method: 'standard', mean: 0, deviation: 2 } },
    { ...number, name: 'age' },
  ]
  await writeBundle(join(models, 'm/1'), {
    manifest: manifestOf(
      features,
      { signature: 'serve', inputs: { dense: ['price', 'age'] }, outputs: { probabilities: 'p' } },
      ['ctr'],
    ),
    files: { 'model.onnx': graph.toBytes() },
  })
  const { fastify } = await startTestServer(t, { models })
  const answer = async (body: unknown) => JSON.parse((await serving(fastify, 'm:predict', body)).text).predictions[0]
  const instances = [{ price: 2, age: 0 }]
  const isClose = (answer: number, logit: number) => t.ok(Math.abs(answer - 1 / (1 + Math.exp(-logit))) < 1e-6)
  isClose(await answer({ instances }), 1)
  isClose(await answer({ signature_name: 'features', instances }), 1)
  isClose(await answer({ signature_name: 'serving_default', instances }), 2)
  isClose(await answer({ signature_name: 'serve', instances }), 2)
  isClose(await answer({ signature_name: 'serving_default', context: { age: 0 }, instances: [{ price: 2 }] }), 1)
  const { signature_def } = (await fastify.inject('/v1/models/m/metadata')).json().metadata.signature_def
  t.same(Object.keys(signature_def), ['serving_default', 'serve', 'features'])
  t.same(signature_def.serve, signature_def.serving_default)
})
