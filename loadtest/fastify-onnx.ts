import Fastify from 'fastify'
import ort from 'onnxruntime-node'
import { readLayersModel } from '../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel } from '../src/model/graph/lower/layers/lower-layers.ts'
import { bindingsOf } from '../src/model/serving/prediction/bindings.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'

/*
 * The "do it yourself" baseline: a child process with Fastify and onnxruntime-node in the handler, for tensors only,
 * with the graph that multigate runs. Every request is computed immediately and separately, without checks,
 * calibration, batching, queue or deadline, in one thread, as in each worker of multigate.
 */

const [root = '', name = '', version = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit())

const { folder, manifest } = await readBundle(root, name, version)
const { file } = manifest.graph
const { probabilities: output, ...inputs } = bindingsOf(manifest)
const graph = lowerLayersModel(await readLayersModel(folder, file), [output])
const session = await ort.InferenceSession.create(graph, {
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
})
const tasks = manifest.tasks.map((task) => task.name)

const fastify = Fastify({ bodyLimit: 16 * 1024 * 1024 })
fastify.post<{ Body: { sparse?: number[][]; dense?: number[][] } }>('/predict', async ({ body }) => {
  const feeds: Record<string, ort.Tensor> = {}
  if (inputs.sparse && body.sparse)
    feeds[inputs.sparse] = new ort.Tensor('int32', Int32Array.from(body.sparse.flat()), sizeOf(body.sparse))
  if (inputs.dense && body.dense)
    feeds[inputs.dense] = new ort.Tensor('float32', Float32Array.from(body.dense.flat()), sizeOf(body.dense))
  const results = await session.run(feeds, [output])
  const probabilities = results[output]!.data as Float32Array
  const predictions = Array.from({ length: probabilities.length / tasks.length }, (_, row) =>
    Object.fromEntries(tasks.map((task, column) => [task, probabilities[row * tasks.length + column]])),
  )
  return { predictions }
})
fastify.get('/cpu', async () => process.cpuUsage())
console.log(`listening at ${await fastify.listen({ host: '127.0.0.1', port: 0 })}`)

function sizeOf(matrix: number[][]): [number, number] {
  return [matrix.length, matrix[0]?.length ?? 0]
}
