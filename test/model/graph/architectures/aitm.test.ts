import type { Tensor } from '@tensorflow/tfjs-core'
import type { SymbolicTensor } from '@tensorflow/tfjs-layers'
import t from 'tap'
import { prepareTensorFlow } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture } from '../../../../src/model/graph/architectures/build.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { openBuilt } from '../../../support/layers-model.ts'

const tensorflow = await prepareTensorFlow('cpu')
const { tf, layers } = tensorflow
const options: ArchitectureOptions = {
  ...{ name: 'aitm', form: 'published', dim_emb: 4, embedding_l2: 0, dims_tower: [6, 5], dims_head: [] },
  ...{ num_hidden_tower: 2, dim_hidden_tower: 64, dropout_tower: 0 },
  ...{ num_hidden_head: 2, dim_hidden_head: 64, dropout_proj_head: 0 },
}

t.test("the paper's transfer weighs each position by its own score", async (t) => {
  const tasks = ['ctr', 'cvr', 'pay']
  const model = await openBuilt(
    tensorflow,
    buildArchitecture(options, { sparseFields: 0, denseFields: 3, ids: 1, tasks, seed: 1 }),
  )
  for (const task of ['cvr', 'pay']) {
    const names = [`transfer_${task}`, `tower_${task}/output`, `attend_${task}/sum`]
    const inner = layers.model({
      inputs: model.inputs,
      outputs: names.map((name) => model.getLayer(name).output as SymbolicTensor),
    })
    const [transferred, own, answer] = (inner.predict(tf.tensor2d([[3, -2, 7]])) as Tensor[]).map((tensor) => [
      ...tensor.dataSync(),
    ])
    const project = (part: string, x: number[]) => {
      const kernel = model.getLayer(`attention_${task}/${part}`).getWeights()[0]!.arraySync() as number[][]
      return kernel[0]!.map((_, out) => x.reduce((sum, value, i) => sum + value * kernel[i]![out]!, 0))
    }
    const scores = [transferred!, own!].map((x) => {
      const key = project('key', x)
      return project('query', x).reduce((sum, value, i) => sum + value * key[i]!, 0) / Math.sqrt(5)
    })
    const shares = scores.map((score) => 1 / scores.reduce((sum, other) => sum + Math.exp(other - score), 0))
    t.ok(Math.abs(shares[0]! - 0.5) > 0.01, 'the weights differ')
    const [first, second] = [project('value', transferred!), project('value', own!)]
    answer!.forEach((value, i) => {
      t.ok(Math.abs(value - (shares[0]! * first[i]! + shares[1]! * second[i]!)) < 1e-5, `${task} ${i}`)
    })
  }
})
