import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { startTestServer } from '../../../support/server.ts'
import { serving } from '../../../support/serving-body.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
const { fastify, predict } = await startTestServer(t, { models })

const number = fc.double({ noNaN: true, min: -0.9, max: 1e6 })
const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const row = fc.record(
  {
    country: fc.oneof(fc.constantFrom('DE', 'FR', 'US'), text),
    hour: fc.integer({ min: 0, max: 23 }),
    campaign: text,
    price: number,
    views: number,
  },
  { requiredKeys: ['hour', 'campaign', 'price'] },
)
type Row = Record<string, string | number | { b64: string }>

/** Whether both are answered, and alike. */
async function agree(
  path: object,
  body: { instances?: unknown; inputs?: unknown; context?: unknown },
): Promise<boolean> {
  const wanted = (await predict(path)).body.predictions
  const answer = JSON.parse((await serving(fastify, 'ads:predict', body)).text)
  const given = 'instances' in body ? answer.predictions : answer.outputs
  return wanted !== undefined && JSON.stringify(given) === JSON.stringify(wanted)
}

/** Strings of some rows as base64. */
const encode = (row: Row, base64: boolean): Row =>
  base64
    ? Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          typeof value === 'string' ? { b64: Buffer.from(value).toString('base64') } : value,
        ]),
      )
    : row

const columnsOf = (rows: Row[]) =>
  Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]))

t.test('rows of named features are answered as by POST /predict', async () => {
  const rows = fc.array(fc.tuple(row, fc.boolean()), { minLength: 1, maxLength: 6 })
  const law = fc.asyncProperty(rows, async (rows) => {
    const candidates = rows.map(([row]) => row)
    return agree({ candidates }, { instances: rows.map(([row, base64]) => encode(row as Row, base64)) })
  })
  await fc.assert(law, { numRuns: randomCases(100) })
})

t.test('so are columns, whatever of them stands in the context', async () => {
  const rows = fc.array(row, { minLength: 1, maxLength: 6 })
  const shared = fc.subarray(['country', 'hour'])
  const law = fc.asyncProperty(rows, shared, fc.boolean(), async (rows, shared, base64) => {
    const all = rows.map((row) => ({ country: 'DE', views: 0, ...row }) as Row)
    const own = all.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !shared.includes(name))))
    const context = Object.fromEntries(shared.map((name) => [name, all[0]![name]!]))
    const inputs = columnsOf(own.map((row) => encode(row as Row, base64)))
    return (
      (await agree({ context, candidates: columnsOf(own as Row[]) }, { context, inputs })) &&
      (await agree({ context, candidates: own }, { context: encode(context, base64), instances: own }))
    )
  })
  await fc.assert(law, { numRuns: randomCases(60) })
})

t.test('tensors are answered alike by row and by column, and as by POST /predict', async () => {
  // Ids: country 0–3, hour 4–27, campaign 28–77.
  const ids = fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 4, max: 27 }), fc.integer({ min: 28, max: 77 }))
  const rows = fc.array(fc.record({ sparse: ids, dense: fc.tuple(number, number) }), { minLength: 1, maxLength: 6 })
  const law = fc.asyncProperty(rows, async (rows) => {
    const inputs = { sparse: rows.map(({ sparse }) => sparse), dense: rows.map(({ dense }) => dense) }
    const wanted = (await predict(inputs)).body.predictions
    const { text } = await serving(fastify, 'ads:predict', { inputs })
    const byTask = Object.entries<number[]>(JSON.parse(text).outputs)
    return (
      (await agree({ inputs }, { instances: rows })) &&
      byTask.length === 3 &&
      byTask.every(([task, values]) => values.every((value, row) => value === wanted[row][task]))
    )
  })
  await fc.assert(law, { numRuns: randomCases(100) })
})

t.test('a body of any JSON is answered or refused, never more', async () => {
  const value = fc.jsonValue({ maxDepth: 3 })
  const name = fc.constantFrom('sparse', 'dense', 'country', 'hour', 'campaign', 'price', 'b64', 'constructor', 'x')
  const body = fc.oneof(
    value,
    fc.record(
      {
        instances: fc.oneof(value, fc.array(fc.dictionary(name, value), { maxLength: 3 })),
        inputs: fc.oneof(value, fc.dictionary(name, fc.oneof(value, fc.array(value, { maxLength: 3 })))),
        context: fc.oneof(value, fc.dictionary(name, value)),
        signature_name: fc.constantFrom('serving_default', 'features', '', 'x'),
      },
      { requiredKeys: [] },
    ),
  )
  const law = fc.asyncProperty(body, async (body) => {
    const { status, text } = await serving(fastify, 'ads:predict', JSON.stringify(body))
    const { error } = JSON.parse(text)
    return status === 200 || (status === 400 && typeof error === 'string' && error.length < 1000)
  })
  await fc.assert(law, { numRuns: randomCases(500) })
})
