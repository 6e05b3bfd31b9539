import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../../support/bundle.ts'
import { inferBody } from '../../../support/infer-body.ts'
import { noReference, referenceFolder } from '../../../support/reference.ts'
import { startTestServer } from '../../../support/server.ts'
import { serving } from '../../../support/serving-body.ts'

for (const reference of ['keras2/mmoe', 'keras3/mmoe'] as const) {
  t.test(`${reference} answers as Keras does, in every protocol`, { skip: noReference }, async (t) => {
    const io = JSON.parse(await readFile(join(referenceFolder, reference, 'io.json'), 'utf8'))
    const wanted: number[][] = io.probabilities.data
    const models = await temporaryFolder(t)
    await mkdir(join(models, 'census-2.15/7'), { recursive: true })
    await copyFile(join(referenceFolder, reference, 'model.onnx'), join(models, 'census-2.15/7/model.onnx'))
    const { predict, fastify } = await startTestServer(t, { models })
    const answer = async (body: unknown) => JSON.parse((await serving(fastify, 'census-2.15:predict', body)).text)
    const [ids, numbers] = reference.startsWith('keras2') ? ['input_1', 'input_2'] : ['args_0', 'args_0_1']
    const inputs = { [ids]: io.sparse.data as number[][], [numbers]: io.dense.data as number[][] }
    const isClose = (answers: number[][], form: string) => {
      const differences = wanted.flatMap((row, i) => row.map((value, task) => Math.abs(answers[i]![task]! - value)))
      t.equal(answers.length, 64)
      t.ok(Math.max(...differences) <= 1e-5, `${form}: ${Math.max(...differences)}`)
    }
    const instances = wanted.map((_, i) => ({ [ids]: inputs[ids]![i], [numbers]: inputs[numbers]![i] }))
    isClose((await answer({ instances })).predictions, 'instances')
    isClose((await answer({ signature_name: 'serving_default', inputs })).outputs, 'inputs')
    const { predictions } = (await predict({ model: 'census-2.15', inputs })).body
    isClose(
      predictions.map(({ task_0, task_1 }: any) => [task_0, task_1]),
      'POST /predict',
    )
    const body = inferBody({
      inputs: [
        { name: ids, shape: [64, 31], datatype: 'INT32', data: inputs[ids] },
        { name: numbers, shape: [64, 7], datatype: 'FP32', data: inputs[numbers] },
      ],
    })
    const { outputs } = (await fastify.inject({ method: 'POST', url: '/v2/models/census-2.15/infer', ...body })).json()
    const data: number[] =
      outputs.length === 1 ? outputs[0].data : wanted.flatMap((_, i) => outputs.map((o: any) => o.data[i]))
    isClose(
      wanted.map((_, i) => data.slice(2 * i, 2 * i + 2)),
      '/v2',
    )
  })
}
