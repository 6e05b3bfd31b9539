import t from 'tap'
import { featuresOf } from '../../../loadtest/competitors/columns.ts'
import { type FormName, forms } from '../../../loadtest/competitors/forms.ts'
import { type ReferenceModel, referenceModels } from '../../../loadtest/competitors/models.ts'
import { createQueries, type Query } from '../../../loadtest/competitors/queries.ts'
import { createEncoder } from '../../../src/model/serving/features/encoder.ts'

const limits = { maxRows: 1000, partial: false }
const json = (form: FormName, query: Query, model: ReferenceModel = referenceModels.prod) =>
  JSON.parse(forms[form].render(query, model).body.toString())

t.test('tensors and columns of a query encode to the same', async (t) => {
  for (const model of Object.values(referenceModels)) {
    const features = featuresOf(model)
    const encoder = createEncoder(features)
    const ofContext = features.filter(({ side }) => side === 'context')
    for (const rows of [1, 30]) {
      const query = createQueries(model, 'new', 3)(rows)
      const tensors = json('tensors', query, model)
      const columns = json('columns', query, model)
      for (const encoded of [
        encoder.tensors(tensors.sparse, tensors.dense, limits),
        encoder.columns(columns.context, columns.candidates, limits),
      ]) {
        t.equal(encoded.rows, rows)
        t.same(encoded.sparse, query.sparse)
        t.same(encoded.dense, Float32Array.from(query.dense))
      }
      t.same(
        Object.keys(columns.context),
        ofContext.map(({ name }) => name),
      )
    }
  }
})

t.test('the Open Inference Protocol has the same tensors flat, as JSON and as bytes', async (t) => {
  const query = createQueries(referenceModels.prod, 'new', 3)(7)
  const { inputs } = json('oip', query)
  t.match(inputs, [
    { name: 'sparse', shape: [7, 26], datatype: 'INT32' },
    { name: 'dense', shape: [7, 13], datatype: 'FP32' },
  ])
  t.same(Int32Array.from(inputs[0].data), query.sparse)
  t.same(Float64Array.from(inputs[1].data), query.dense)

  const { headers, body } = forms.binary.render(query, referenceModels.prod)
  const head = Number(headers['inference-header-content-length'])
  const described = JSON.parse(body.subarray(0, head).toString())
  const [sparse, dense] = described.inputs.map((input: any) => input.parameters.binary_data_size)
  t.same([sparse, dense], [7 * 26 * 4, 7 * 13 * 4])
  t.equal(body.length, head + sparse + dense)
  for (const [i, id] of query.sparse.entries())
    if (body.readInt32LE(head + i * 4) !== id) t.fail(`id ${i} is another one`)
  for (const [i, value] of query.dense.entries())
    if (body.readFloatLE(head + sparse + i * 4) !== Math.fround(value)) t.fail(`value ${i} is another one`)
})

t.test('answers of every form are read row by row', async (t) => {
  const read = (form: FormName, answer: unknown) =>
    forms[form].parse(Buffer.from(JSON.stringify(answer)), new Headers())
  const expected = [0.1, 0.2, 0.3, 0.4]
  t.same(
    read('tensors', {
      predictions: [
        { cvr: 0.2, ctr: 0.1 },
        { ctr: 0.3, cvr: 0.4 },
      ],
    }),
    expected,
  )
  t.same(
    read('tensors', {
      probabilities: [
        [0.1, 0.2],
        [0.3, 0.4],
      ],
    }),
    expected,
  )
  t.same(read('columns', { predictions: { ctr: [0.1, 0.3], cvr: [0.2, 0.4] } }), expected)
  t.same(read('oip', { outputs: [{ data: expected }] }), expected)
  const readBytes = (shapes: number[][], values: number[]) => {
    const head = Buffer.from(JSON.stringify({ outputs: shapes.map((shape) => ({ shape })) }))
    const headers = new Headers({ 'inference-header-content-length': String(head.length) })
    return forms.binary.parse(Buffer.concat([head, Buffer.from(Float32Array.from(values).buffer)]), headers)
  }
  const floats = Array.from(Float32Array.from(expected))
  t.same(readBytes([[2, 2]], expected), floats, 'one tensor of all tasks')
  t.same(
    readBytes(
      [
        [2, 1],
        [2, 1],
      ],
      [0.1, 0.3, 0.2, 0.4],
    ),
    floats,
    'a tensor a task',
  )
})
