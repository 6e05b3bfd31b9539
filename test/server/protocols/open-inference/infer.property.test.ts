import t from 'tap'
import type { InferDatatype } from '../../../../src/schemas/infer.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { inferBody } from '../../../support/infer-body.ts'
import { startTestServer } from '../../../support/server.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify, predict } = await startTestServer(t, { models })

// Ids: country 0–3, hour 4–27, campaign 28–77.
const idRow = fc.tuple(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 4, max: 27 }),
  fc.integer({ min: 28, max: 77 }),
)
// Float32 numbers: what bytes hold is what JSON says.
const number = fc.float({ noNaN: true, min: -8, max: 8 })
const rows = fc.array(fc.record({ ids: idRow, numbers: fc.tuple(number, number) }), { minLength: 1, maxLength: 8 })
const whole = fc.array(
  fc.record({ ids: idRow, numbers: fc.tuple(fc.integer({ min: -3, max: 9 }), fc.integer({ min: 0, max: 9 })) }),
  { minLength: 1, maxLength: 8 },
)

const arrays: Record<Exclude<InferDatatype, 'BOOL'>, (values: number[]) => ArrayBufferView> = {
  INT8: (values) => Int8Array.from(values),
  INT16: (values) => Int16Array.from(values),
  INT32: (values) => Int32Array.from(values),
  INT64: (values) => BigInt64Array.from(values, BigInt),
  UINT8: (values) => Uint8Array.from(values),
  UINT16: (values) => Uint16Array.from(values),
  UINT32: (values) => Uint32Array.from(values),
  UINT64: (values) => BigUint64Array.from(values, BigInt),
  FP32: (values) => Float32Array.from(values),
  FP64: (values) => Float64Array.from(values),
}
type Numbers = keyof typeof arrays
const integers = Object.keys(arrays).filter((name) => !name.startsWith('FP')) as Numbers[]

type Form = 'flat' | 'nested' | 'bytes'
const form = fc.constantFrom<Form>('flat', 'nested', 'bytes')

/** An input, and the bytes that belong to it. */
function tensor(name: string, datatype: Numbers, values: number[][], form: Form): [object, ArrayBufferView[]] {
  const input = { name, shape: [values.length, values[0]!.length], datatype }
  if (form !== 'bytes') return [{ ...input, data: form === 'flat' ? values.flat() : values }, []]
  const bytes = arrays[datatype](values.flat())
  return [{ ...input, parameters: { binary_data_size: bytes.byteLength } }, [bytes]]
}

/** Probabilities by task of one answer, whatever its form. */
async function infer(body: ReturnType<typeof inferBody>): Promise<Record<string, number[]>> {
  const answer = await fastify.inject({ method: 'POST', url: '/v2/models/ads/infer', ...body })
  if (answer.statusCode !== 200) throw new Error(answer.payload)
  const length = Number(answer.headers['inference-header-content-length'] ?? answer.rawPayload.length)
  const { outputs } = JSON.parse(answer.rawPayload.subarray(0, length).toString())
  let offset = length
  const probabilities = outputs.map(({ name, shape, parameters, data }: any) => {
    if (data) return [name, data]
    const values = Array.from({ length: shape[0] }, (_, i) => answer.rawPayload.readFloatLE(offset + 4 * i))
    offset += parameters.binary_data_size
    return [name, values]
  })
  return Object.fromEntries(probabilities)
}

interface Sent {
  rows: { ids: number[]; numbers: number[] }[]
  datatypes: [Numbers, Numbers]
  forms: [Form, Form]
  turned: boolean
  binaryAnswer: boolean
  padding: string
}

async function agrees({ rows, datatypes, forms, turned, binaryAnswer, padding }: Sent): Promise<boolean> {
  const sparse = rows.map(({ ids }) => ids)
  const dense = rows.map(({ numbers }) => numbers)
  const { body } = await predict({ sparse, dense })
  const tensors = [tensor('sparse', datatypes[0], sparse, forms[0]), tensor('dense', datatypes[1], dense, forms[1])]
  if (turned) tensors.reverse()
  const request = {
    id: padding,
    parameters: { binary_data_output: binaryAnswer },
    inputs: tensors.map(([input]) => input),
  }
  const answer = await infer(inferBody(request, ...tensors.flatMap(([, bytes]) => bytes)))
  return Object.entries(answer).every(
    ([task, values]) =>
      values.length === rows.length &&
      values.every((value, row) => Math.abs(value - body.predictions[row][task]) <= 1e-6 * value),
  )
}

const sent = {
  forms: fc.tuple(form, form),
  turned: fc.boolean(),
  binaryAnswer: fc.boolean(),
  padding: fc.string({ maxLength: 8 }),
}

t.test('whatever form tensors come in, the answer is that of POST /predict', async () => {
  const datatypes = fc.tuple(fc.constantFrom(...integers), fc.constantFrom<Numbers>('FP32', 'FP64'))
  await fc.assert(fc.asyncProperty(fc.record({ ...sent, rows, datatypes }), agrees), { numRuns: randomCases(150) })
})

t.test('numbers may come as integers', async () => {
  const signed = integers.filter((name) => name.startsWith('INT'))
  const datatypes = fc.tuple(fc.constantFrom(...integers), fc.constantFrom(...signed))
  await fc.assert(fc.asyncProperty(fc.record({ ...sent, rows: whole, datatypes }), agrees), {
    numRuns: randomCases(50),
  })
})

t.test('bytes that are no request are refused, never more', async (t) => {
  const header = fc.option(fc.oneof(fc.nat({ max: 300 }).map(String), fc.stringMatching(/^[ -~]{0,20}$/)), {
    nil: undefined,
  })
  const input = { name: 'sparse', shape: [1, 3], datatype: 'INT32', parameters: { binary_data_size: 12 } }
  const head = Buffer.from(JSON.stringify({ inputs: [input] }))
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Nearly a request: the JSON part with one byte changed, and any bytes after it.
    fc
      .tuple(fc.nat({ max: head.length - 1 }), fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 24 }))
      .map(([at, byte, rest]) => {
        const damaged = Buffer.from(head)
        damaged[at] = byte
        return Buffer.concat([damaged, rest])
      }),
  )
  const refused = fc.asyncProperty(bytes, header, async (bytes, header) => {
    const headers = header === undefined ? {} : { 'inference-header-content-length': header }
    const answer = await fastify.inject({
      method: 'POST',
      url: '/v2/models/ads/infer',
      payload: Buffer.from(bytes),
      headers,
    })
    const error: unknown = answer.json().error
    return answer.statusCode === 400 && typeof error === 'string' && error.length < 1000
  })
  await t.resolves(fc.assert(refused, { numRuns: randomCases(300) }))
})
