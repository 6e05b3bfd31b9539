import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { importModel } from '../../src/tools/convert/import-model.ts'
import { writeInit } from '../../src/tools/convert/write-init.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { importOptions } from '../support/import-options.ts'
import { initOptions } from '../support/init-options.ts'
import { noReference, type Reference, readReference, referenceFolder, referenceModels } from '../support/reference.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/*
 * Every file that Python saved of the reference models, served as it is or imported, answers as Python itself does,
 * through each of the protocols.
 */

// Some sixty graphs are loaded, each as the server would.

/** Rows that are asked; each graph has its own answers for all 64 in tests of its reader. */
const rows = 12
const tolerance = 1e-5

const [ids, numbers] = [31, 7]

interface Served {
  /** The model's name on the server. */
  name: string
  reference: Reference
}

type Matrix = number[][]

const matrix = (values: ArrayLike<number>, width: number): Matrix =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: width }, (_, i) => values[row * width + i]!))

function isClose(t: Test, answers: number[], { probabilities }: Reference, what: string): void {
  const worst = answers.reduce((most, value, i) => Math.max(most, Math.abs(value - probabilities[i]!)), 0)
  t.ok(answers.length === rows * 2 && worst <= tolerance, `${what}: ${worst}`)
}

async function post({ fastify }: TestServer, url: string, payload: object): Promise<any> {
  const answer = await fastify.inject({ method: 'POST', url, payload })
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.body}`)
  return answer.json()
}

/** Asks with tensors by the names that the server gives; `tasks` are what `POST /predict` calls its columns. */
async function askTensors(t: Test, server: TestServer, { name, reference }: Served): Promise<void> {
  const metadata = (await server.fastify.inject(`/v2/models/${name}`)).json()
  const { sparse, dense } = reference.batch.inputs
  const inputs: { name: string; datatype: string; shape: number[]; data: Matrix }[] = metadata.inputs.map(
    ({ name, datatype, shape }: { name: string; datatype: string; shape: number[] }) => {
      const data = shape[1] === ids ? matrix(sparse!, ids) : matrix(dense!, numbers)
      return { name, datatype, shape: [rows, shape[1]], data }
    },
  )
  const tensors = Object.fromEntries(inputs.map(({ name, data }) => [name, data]))
  const predicted = await post(server, '/predict', { model: name, inputs: tensors })
  const columns = Object.keys(predicted.predictions[0])
  const flat = (row: Record<string, number>) => columns.map((column) => row[column]!)
  isClose(t, predicted.predictions.flatMap(flat), reference, `${name} /predict`)

  const inferred = await post(server, `/v2/models/${name}/infer`, { inputs })
  const data: number[][] = inferred.outputs.map((output: { data: number[] }) => output.data)
  const byRow = data.length === 1 ? data[0]! : matrixOf(data)
  isClose(t, byRow, reference, `${name} /v2`)

  const served = await post(server, `/v1/models/${name}:predict`, { inputs: tensors })
  const outputs = Array.isArray(served.outputs)
    ? served.outputs.flat()
    : matrixOf(columns.map((column) => served.outputs[column].flat()))
  isClose(t, outputs, reference, `${name} /v1 by column`)
  const instances = Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(inputs.map(({ name, data }) => [name, data[row]])),
  )
  const byInstance = await post(server, `/v1/models/${name}:predict`, { instances })
  const first = byInstance.predictions[0]
  isClose(
    t,
    byInstance.predictions.flatMap((row: any) => (Array.isArray(first) ? row : flat(row))),
    reference,
    `${name} /v1 by row`,
  )
}

/** One column a task, as rows after each other. */
function matrixOf(columns: number[][]): number[] {
  return Array.from({ length: rows }, (_, row) => columns.map((column) => column[row]!)).flat()
}

/** Asks with fields by name, in the order of the reference's columns. */
async function askFeatures(t: Test, server: TestServer, { name, reference }: Served): Promise<void> {
  const { fields, tasks } = (await server.fastify.inject(`/models/${name}`)).json()
  const { sparse, dense } = reference.batch.inputs
  const named = (kind: boolean) =>
    fields.filter((field: any) => (field.kind === 'numeric') === kind).map((field: any) => field.name)
  const [sparseNames, denseNames] = [named(false), named(true)]
  const candidates = Array.from({ length: rows }, (_, row) => ({
    ...Object.fromEntries(sparseNames.map((field: string, i: number) => [field, sparse![row * ids + i]])),
    ...Object.fromEntries(denseNames.map((field: string, i: number) => [field, dense![row * numbers + i]])),
  }))
  const flat = (row: Record<string, number>) => tasks.map((task: any) => row[task.name]!)
  const predicted = await post(server, '/predict', { model: name, candidates })
  isClose(t, predicted.predictions.flatMap(flat), reference, `${name} /predict by name`)
  const served = await post(server, `/v1/models/${name}:predict`, { instances: candidates })
  isClose(t, served.predictions.flatMap(flat), reference, `${name} /v1 by name`)
  const inputs = Object.keys(candidates[0]!).map((field) => ({
    name: field,
    datatype: denseNames.includes(field) ? 'FP32' : 'INT32',
    shape: [rows],
    data: candidates.map((candidate) => candidate[field]),
  }))
  const inferred = await post(server, `/v2/models/${name}/infer`, { inputs })
  isClose(t, matrixOf(inferred.outputs.map((output: any) => output.data)), reference, `${name} /v2 by name`)
}

for (const model of referenceModels) {
  t.test(`${model}: all that Python saved`, { skip: noReference }, async (t) => {
    const reference = await readReference(model)
    const models = await temporaryFolder(t)
    const bare: Served[] = []
    const named: Served[] = []
    for (const file of await readdir(join(referenceFolder, model))) {
      const path = join(referenceFolder, model, file)
      const name = file.replaceAll(/[._]/g, '-')
      if (/^(saved_model|tfjs)/.test(file)) {
        await cp(path, join(models, name, '1'), { recursive: true })
        bare.push({ name, reference })
      } else if (file.endsWith('.onnx')) {
        await mkdir(join(models, name, '1'), { recursive: true })
        await cp(path, join(models, name, '1', file))
        bare.push({ name, reference })
      } else if (/\.(keras|h5)$/.test(file)) {
        await importModel(importOptions(path, models, { name }))
        named.push({ name, reference })
        continue
      } else continue
      // The same with a manifest that was made of it: of one class, since the others differ by their layers alone.
      if (!model.endsWith('/mmoe')) continue
      await writeInit({
        ...initOptions(join(models, name, '1'), models),
        name: `${name}-named`,
        version: '1',
        tasks: ['income', 'married'],
      })
      named.push({ name: `${name}-named`, reference })
    }
    t.ok(bare.length >= 3 && named.length >= 1)
    const cache = await temporaryFolder(t)
    const compiler = { cache, candidateBytes: 1 << 20, now: Date.now }
    const server = await startTestServer(t, { models, limits: { compiler } })
    for (const served of bare) await askTensors(t, server, served)
    for (const served of named) {
      await askTensors(t, server, served)
      await askFeatures(t, server, served)
      const { plan } = (await server.fastify.inject(`/models/${served.name}`)).json()
      t.equal(plan.compiled, true, `${served.name} is compiled: ${plan.notes}`)
    }
  })
}
