import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { Engine, GraphSource } from '../../../../src/model/contracts/engine.ts'
import { createTensorflowEngine } from '../../../../src/model/engines/tensorflow/tensorflow.ts'
import { prepareTensorFlow } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import { layersModelFiles } from '../../../../src/model/graph/lower/layers/write-layers-model.ts'
import { saveLayersModel, writeFiles } from '../../../support/layers-model.ts'

const tensorflow = await prepareTensorFlow('cpu')
const { tf, layers } = tensorflow
const built = buildArchitecture(
  {
    name: 'multi_gate',
    dim_emb: 3,
    embedding_l2: 1e-3,
    num_experts: 2,
    num_hidden_expert: 2,
    dim_hidden_expert: 5,
    dropout_expert: 0.5,
    num_hidden_tasks: 2,
    dim_hidden_tasks: 4,
    dropout_tasks: 0,
  },
  { sparseFields: 2, denseFields: 1, ids: 9, tasks: ['ctr', 'cvr'], seed: 1 },
)
const outputs = ['probabilities', 'logits', 'gate_ctr', 'gate_cvr']
const batch = { rows: 2, inputs: { sparse: Int32Array.of(0, 5, 3, 8), dense: Float32Array.of(0.5, -2) } }

async function saved(t: { testdir(): string }): Promise<GraphSource> {
  const folder = t.testdir()
  await tensorflow.activate()
  await writeFiles(folder, layersModelFiles(built))
  return { folder, format: 'layers', file: 'model.json', outputs }
}

const native = await createTensorflowEngine({ backend: 'native' }).catch((error: Error) => error)
const engines: Engine[] = [
  ...(native instanceof Error ? [] : [native]),
  await createTensorflowEngine({ backend: 'wasm' }),
  await createTensorflowEngine({ backend: 'cpu' }),
]
if (native instanceof Error) {
  t.test('says why the native backend does not work', async (t) => {
    t.match(native, { code: 'ENGINE_UNAVAILABLE', message: /native: / })
    t.comment(`using tensorflow (wasm) in its place: ${native.message}`)
  })
}

t.test('takes the fastest backend where none is asked for', async (t) => {
  t.equal((await createTensorflowEngine()).name, engines[0]!.name)
})

for (const engine of engines) {
  t.test(engine.name, async (t) => {
    t.test('reads the signature from the model', async (t) => {
      const graph = await engine.load(await saved(t))
      t.same(graph.signature, {
        inputs: [
          { name: 'sparse', dtype: 'int32', width: 2 },
          { name: 'dense', dtype: 'float32', width: 1 },
        ],
        outputs: outputs.map((name) => ({ name, width: 2 })),
      })
      await graph.close()
    })

    t.test('computes what is wanted, the same whatever else is', async (t) => {
      const graph = await engine.load(await saved(t))
      const all = await graph.run(batch, outputs)
      t.same(Object.keys(all), outputs)
      for (const name of outputs) t.same(await graph.run(batch, [name, name]), { [name]: all[name] })
      t.same(await graph.run(batch, []), {})
      t.same(await graph.run({ rows: 0, inputs: {} }, ['logits']), { logits: new Float32Array(0) })
      await graph.close()
    })

    t.test('keeps no tensor from call to call, and none after it is closed', async (t) => {
      const source = await saved(t)
      // Once before, for what a backend keeps for itself.
      await (await engine.load(source)).close()
      const before = tf.memory().numTensors
      const graph = await engine.load(source)
      await graph.run(batch, outputs)
      const loaded = tf.memory().numTensors
      for (let i = 0; i < 20; i++) await graph.run(batch, i % 2 ? outputs : ['probabilities'])
      await graph.run({ rows: 2, inputs: {} }, outputs).catch(() => {})
      t.equal(tf.memory().numTensors, loaded)
      await graph.close()
      await graph.close()
      t.equal(tf.memory().numTensors, before)
      await t.rejects(graph.run(batch, outputs), { code: 'MODEL_FAILED', message: 'model.json: is closed' })
    })

    t.test('rejects a bad batch and stays usable', async (t) => {
      const graph = await engine.load(await saved(t))
      const { sparse, dense } = batch.inputs
      const failed = (message: RegExp) => ({ code: 'MODEL_FAILED', message })
      await t.rejects(graph.run({ rows: 2, inputs: { dense } }, outputs), failed(/the input sparse is missing/))
      await t.rejects(graph.run({ rows: 1, inputs: { sparse, dense } }, outputs), failed(/holds 4 values/))
      const beyond = { sparse: Int32Array.of(0, 9, 0, 0), dense }
      await t.rejects(graph.run({ rows: 2, inputs: beyond }, outputs), failed(/9/))
      const negative = { sparse: Int32Array.of(0, -1, 0, 0), dense }
      await t.rejects(graph.run({ rows: 2, inputs: negative }, outputs), failed(/-1/))
      await t.rejects(graph.run(batch, ['nowhere']), failed(/there is no output nowhere/))
      t.equal((await graph.run(batch, outputs)).logits!.length, 4)
      await graph.close()
    })
  })
}

t.test('refuses at load what it can not run or read', async (t) => {
  const engine = engines.at(-1)!
  const source = await saved(t)
  const path = join(source.folder, 'model.json')
  const text = JSON.stringify(JSON.parse(await readFile(path, 'utf8')))
  const load = async (content: string, change: Partial<GraphSource> = {}) => {
    await writeFile(path, content)
    return engine.load({ ...source, ...change })
  }

  await t.rejects(load(text, { format: 'onnx' }), {
    code: 'UNSUPPORTED_GRAPH',
    message: "model.json: the tensorflow engine doesn't read ONNX files",
  })
  await t.rejects(load(text.replace('"class_name":"Flatten"', '"class_name":"Flatland"')), {
    code: 'UNSUPPORTED_GRAPH',
    message: 'layer embedding_flat (Flatland): this class of layers is not supported',
  })
  await t.rejects(load(text.replace('"activation":"sigmoid"', '"activation":"sigma"')), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^model\.json: Unknown activation/,
  })
  await t.rejects(load(text.replaceAll('"embedding/embeddings"', '"embedding/rows"')), {
    code: 'INVALID_BUNDLE',
    message: /^model\.json: .*embedding\/rows/,
  })
  await t.rejects(load(text, { outputs: ['nowhere'] }), {
    code: 'INVALID_BUNDLE',
    message: 'model.json: there is no layer nowhere to answer with',
  })
  await t.rejects(load(text, { outputs: ['sparse'] }), { code: 'INVALID_BUNDLE' })
  await t.rejects(load(text.slice(0, 100)), { code: 'INVALID_BUNDLE', message: /^model\.json: is not JSON/ })
})

t.test('refuses to guess which answer of a shared layer is wanted', async (t) => {
  await tensorflow.activate()
  const x = layers.input({ name: 'x', shape: [3] })
  const shared = layers.layers.dense({ name: 'shared', units: 3 })
  const twice = shared.apply(shared.apply(x)) as typeof x
  const inner = layers.layers.reLU({ name: 'last' }).apply(twice) as typeof x
  const folder = t.testdir()
  await saveLayersModel(tensorflow, layers.model({ inputs: x, outputs: inner }), folder)
  await t.rejects(engines.at(-1)!.load({ folder, format: 'layers', file: 'model.json', outputs: ['shared'] }), {
    code: 'UNSUPPORTED_GRAPH',
    message: /^layer shared \(Dense\): is applied 2 times/,
  })
})

t.test('works in a worker thread', async (t) => {
  const source = await saved(t)
  const [engine] = engines
  const graph = await engine!.load(source)
  const expected = await graph.run(batch, outputs)
  const code = `
    const { parentPort, workerData: { module, source, batch } } = require('node:worker_threads')
    import(module).then(async ({ createTensorflowEngine }) => {
      const graph = await (await createTensorflowEngine({ backend: 'wasm' })).load(source)
      parentPort.postMessage(await graph.run(batch, source.outputs))
      await graph.close()
    })`
  const module = new URL('../../../../src/model/engines/tensorflow/tensorflow.js', import.meta.url).href
  const worker = new Worker(code, { eval: true, workerData: { module, source, batch } })
  const [answers] = await once(worker, 'message')
  await worker.terminate()
  for (const name of outputs)
    for (const [i, value] of expected[name]!.entries()) t.ok(Math.abs(answers[name][i] - value) < 1e-5)
  await graph.close()
})
