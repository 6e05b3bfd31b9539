import cluster from 'node:cluster'
import Fastify from 'fastify'
import ort from 'onnxruntime-node'

/*
 * "Do it yourself" in Node: Fastify with onnxruntime-node in the handler, in one process or several. Its JSON schema
 * makes Fastify compile a serialiser; nothing else is checked, batched, queued or refused. MODEL is the file of the
 * graph; SPARSE, DENSE and PROBABILITIES are the names of its tensors.
 */

const { MODEL = '', PORT = '0', WORKERS = '1', SPARSE = 'sparse', DENSE = 'dense', PROBABILITIES } = process.env
const output = PROBABILITIES ?? 'probabilities'

interface Body {
  sparse?: number[][]
  dense?: number[][]
}

if (cluster.isPrimary && Number(WORKERS) > 1) for (let i = 0; i < Number(WORKERS); i++) cluster.fork()
else await serve()

async function serve(): Promise<void> {
  const session = await ort.InferenceSession.create(MODEL, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  })
  const matrix = (type: string) => ({ type: 'array', items: { type: 'array', items: { type } } })
  const schema = { response: { 200: { type: 'object', properties: { probabilities: matrix('number') } } } }
  const fastify = Fastify({ bodyLimit: 16 * 1024 * 1024 })
  fastify.post<{ Body: Body }>('/predict', { schema }, async ({ body: { sparse, dense } }) => {
    const feeds: Record<string, ort.Tensor> = {}
    if (sparse) feeds[SPARSE] = new ort.Tensor('int32', flat(sparse, Int32Array), [sparse.length, sparse[0]!.length])
    if (dense) feeds[DENSE] = new ort.Tensor('float32', flat(dense, Float32Array), [dense.length, dense[0]!.length])
    const probabilities = (await session.run(feeds, [output]))[output]!
    const values = probabilities.data as Float32Array
    const tasks = probabilities.dims[1]!
    const rows: number[][] = []
    for (let at = 0; at < values.length; at += tasks) rows.push(Array.from(values.subarray(at, at + tasks)))
    return { probabilities: rows }
  })
  fastify.get('/cpu', async () => process.cpuUsage())
  console.log(`listening at ${await fastify.listen({ host: '127.0.0.1', port: Number(PORT) })}`)
}

function flat<T extends Int32Array | Float32Array>(rows: number[][], Type: new (length: number) => T): T {
  const width = rows[0]!.length
  const values = new Type(rows.length * width)
  rows.forEach((row, i) => {
    values.set(row, i * width)
  })
  return values
}
