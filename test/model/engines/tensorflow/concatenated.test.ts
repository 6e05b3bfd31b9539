import t from 'tap'
import type { Batch, GraphSource, LoadedGraph } from '../../../../src/model/contracts/engine.ts'
import { loadJoined } from '../../../../src/model/engines/tensorflow/concatenated.ts'

const source: GraphSource = { folder: '/', format: 'layers', file: 'model.json', outputs: ['all', 'gate'] }
const joined: GraphSource['joined'] = {
  inputs: {
    ids: { dtype: 'int32', tensors: ['country', 'hour'] },
    numbers: { dtype: 'float32', tensors: ['sizes', 'price'] },
  },
  outputs: { all: { sigmoid: false, tensors: ['click', 'buy'] } },
}

/**
 * Answers `click` = country + 10 · hour, `buy` = [price, sizes summed], and `gate` = −price; keeps what it was asked
 * with.
 */
function puppet(asked: { batches: Batch[]; outputs: string[][]; closed: number }) {
  return async ({ outputs }: GraphSource): Promise<LoadedGraph> => {
    asked.outputs.push(outputs)
    return {
      signature: {
        inputs: [
          { name: 'price', dtype: 'float32', width: 1 },
          { name: 'country', dtype: 'int32', width: 1 },
          { name: 'sizes', dtype: 'float32', width: 2 },
          { name: 'hour', dtype: 'int32', width: 1 },
        ],
        outputs: [
          { name: 'click', width: 1 },
          { name: 'buy', width: 2 },
          { name: 'gate', width: 1 },
        ],
      },
      async run(batch, wanted) {
        asked.batches.push(batch)
        const { country, hour, sizes, price } = batch.inputs as Record<string, Int32Array>
        const rows = Array.from({ length: batch.rows }, (_, row) => row)
        const answers: Record<string, Float32Array> = {
          click: Float32Array.from(rows, (row) => country![row]! + 10 * hour![row]!),
          buy: Float32Array.from(rows.flatMap((row) => [price![row]!, sizes![2 * row]! + sizes![2 * row + 1]!])),
          gate: Float32Array.from(rows, (row) => -price![row]!),
        }
        return Object.fromEntries(wanted.map((name) => [name, answers[name]!]))
      },
      close: async () => {
        asked.closed++
      },
    }
  }
}

const batch: Batch = {
  rows: 2,
  inputs: { ids: Int32Array.of(1, 2, 3, 4), numbers: Float32Array.of(0.25, 0.5, 7, 1, 2, 8) },
}

t.test('inputs are cut apart, outputs joined, and others pass', async (t) => {
  const asked = { batches: [] as Batch[], outputs: [] as string[][], closed: 0 }
  const graph = await loadJoined({ ...source, joined: joined! }, puppet(asked))
  t.same(asked.outputs, [['click', 'buy', 'gate']])
  t.same(graph.signature.inputs, [
    { name: 'ids', dtype: 'int32', width: 2 },
    { name: 'numbers', dtype: 'float32', width: 3 },
  ])
  t.match(graph.signature.outputs, [{ name: 'click' }, { name: 'buy' }, { name: 'gate' }, { name: 'all', width: 3 }])
  const answers = await graph.run(batch, ['all', 'gate'])
  t.same(answers.all, Float32Array.of(21, 7, 0.75, 43, 8, 3))
  t.same(answers.gate, Float32Array.of(-7, -8))
  t.same(asked.batches[0]!.inputs, {
    country: Int32Array.of(1, 3),
    hour: Int32Array.of(2, 4),
    sizes: Float32Array.of(0.25, 0.5, 1, 2),
    price: Float32Array.of(7, 8),
  })
  await graph.close()
  t.equal(asked.closed, 1)
})

t.test('no rows are no answers', async (t) => {
  const graph = await loadJoined({ ...source, joined: joined! }, puppet({ batches: [], outputs: [], closed: 0 }))
  const none = { rows: 0, inputs: { ids: new Int32Array(0), numbers: new Float32Array(0) } }
  t.same(await graph.run(none, ['all']), { all: new Float32Array(0) })
})

t.test('logits become probabilities', async (t) => {
  const outputs = { all: { sigmoid: true, tensors: ['gate'] } }
  const asked = { batches: [], outputs: [], closed: 0 }
  const graph = await loadJoined({ ...source, joined: { ...joined!, outputs } }, puppet(asked))
  const { all } = await graph.run(batch, ['all'])
  t.same(
    all,
    Float32Array.of(-7, -8).map((logit) => 1 / (1 + Math.exp(-logit))),
  )
})

t.test('what is one tensor is left as it is', async (t) => {
  const load = async () => ({}) as LoadedGraph
  const loaded = await loadJoined(source, load)
  t.same(loaded, {})
})

t.test('masks and numbers of values are made of ids', async (t) => {
  const asked: Batch[] = []
  const load = async (): Promise<LoadedGraph> => ({
    signature: {
      inputs: [
        { name: 'ids', dtype: 'int32', width: 1 },
        { name: 'hist', dtype: 'int32', width: 2 },
        { name: 'mask', dtype: 'int32', width: 2 },
        { name: 'lengths', dtype: 'int32', width: 1 },
      ],
      outputs: [{ name: 'all', width: 1 }],
    },
    async run(batch) {
      asked.push(batch)
      return { all: new Float32Array(batch.rows) }
    },
    close: async () => undefined,
  })
  const field = { first: 0, width: 2, padding: 9 }
  const tensors = [
    { ...field, tensor: 'hist', is: 'values' as const },
    { ...field, tensor: 'mask', is: 'mask' as const },
    { ...field, tensor: 'lengths', is: 'lengths' as const },
  ]
  const inputs = { sparse: { dtype: 'int32' as const, tensors: ['ids'], columns: [2], fields: { width: 3, tensors } } }
  const graph = await loadJoined({ ...source, outputs: ['all'], joined: { inputs, outputs: {} } }, load)
  t.same(graph.signature.inputs, [{ name: 'sparse', dtype: 'int32', width: 3 }])
  await graph.run({ rows: 2, inputs: { sparse: Int32Array.of(7, 9, 1, 9, 9, 2) } }, ['all'])
  t.same(asked[0]!.inputs, {
    ids: Int32Array.of(1, 2),
    hist: Int32Array.of(7, 9, 9, 9),
    mask: Int32Array.of(1, 0, 0, 0),
    lengths: Int32Array.of(1, 0),
  })
})
