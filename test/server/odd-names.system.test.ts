import t from 'tap'
import { graphOutputs } from '../../src/model/graph/architectures/build.ts'
import type { Features } from '../../src/schemas/features.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { openBrowser, openPage, skipBrowser } from '../support/browser.ts'
import { multiGateOptions, temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { startProcess } from '../support/process.ts'

/*
 * Fields and tasks named like properties that every object has: two real servers with one model, of which one has such
 * names. Their answers are the same but for the names.
 */

/** Plain names, and odd ones in their places. */
const names: [plain: string, odd: string][] = [
  ['field_a', 'constructor'],
  ['field_b', 'toString'],
  ['field_c', 'hasOwnProperty'],
  ['task_a', 'valueOf'],
  ['task_b', 'isPrototypeOf'],
  ['task_c', 'propertyIsEnumerable'],
]
const renamed = (text: string) => names.reduce((text, [plain, odd]) => text.replaceAll(plain, odd), text)

/**
 * Only the first task has a gate and quality, and only one field a reference: the others have to be missed by their
 * names.
 */
function manifestOf(): Partial<Manifest> {
  const features: Features = [
    ...testFeatures,
    {
      name: 'field_a',
      side: 'context',
      kind: 'vocabulary',
      values: ['x', 'y'],
      out_of_vocabulary: 'bucket',
      missing: { default: 'x' },
    },
    { name: 'field_b', side: 'candidate', kind: 'hash', buckets: 9, seed: 1, missing: { default: 'x' } },
    { name: 'field_c', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: { default: 0 } },
  ]
  const { gates, ...outputs } = graphOutputs(multiGateOptions, ['ctr', 'cvr'])
  return {
    features,
    tasks: [{ name: 'task_a' }, { name: 'task_b' }],
    derived: [{ name: 'task_c', product: ['task_a', 'task_b'] }],
    graph: {
      format: 'layers',
      file: 'model.json',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { ...outputs, gates: { task_a: gates!.ctr! } },
    },
    quality: {
      task_a: { rows: 9, positives: 3, auc: 0.6, logloss: 0.5, normalised_entropy: 0.9, calibration_ratio: 1 },
    },
    drift: {
      features: { price: { edges: [1], shares: [0.5, 0.5] } },
      tasks: { task_a: { edges: [0.5], shares: [0.5, 0.5] } },
    },
  }
}

async function start(naming: (text: string) => string): Promise<number> {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { manifest: JSON.parse(naming(JSON.stringify(manifestOf()))) })
  return (await startProcess(t, { MULTIGATE_MODELS: models })).port
}

const plain = await start((text) => text)
const odd = await start(renamed)

async function ask(port: number, path: string, body: string | undefined): Promise<[number, unknown]> {
  const sent = { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-request-id': 'r' } }
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, body === undefined ? {} : (sent as RequestInit))
  const text = await answer.text()
  // Times and costs differ, and errors without an id.
  if (!path.startsWith('/models/')) return [answer.status, JSON.parse(text)]
  const { plan, provenance, ...rest } = JSON.parse(text)
  return [answer.status, rest]
}

const context = { country: 'DE', hour: 21, field_a: 'y' }
const candidates = [
  { id: 'a', campaign: 'c9', price: 1.25, field_b: 'q', field_c: 2 },
  { id: 'b', campaign: 'c1', price: 0.5 },
]
const columns = { campaign: ['c9', 'c1'], price: [1.25, 0.5], field_b: ['q', 'r'], field_c: [2, -1] }
const strings = (name: string, data: string[]) => ({ name, shape: [data.length], datatype: 'BYTES', data })
const numbers = (name: string, data: number[]) => ({ name, shape: [data.length], datatype: 'FP32', data })
const tensors = [
  strings('country', ['DE']),
  { name: 'hour', shape: [1], datatype: 'INT32', data: [21] },
  strings('field_a', ['y']),
  strings('campaign', ['c9', 'c1']),
  strings('field_b', ['q', 'r']),
  numbers('price', [1.25, 0.5]),
  numbers('field_c', [2, -1]),
]
const everything = { raw: true, unknown: true, rank: { by: 'task_c' } }

const requests: [what: string, path: string, body?: object, status?: number][] = [
  ['rows', '/predict', { context, candidates }],
  [
    'rows with nothing but what is required',
    '/predict',
    { context: { hour: 1 }, candidates: [{ campaign: 'c', price: 1 }] },
  ],
  ['the context alone', '/predict', { context: { ...context, ...candidates[0], id: undefined } }],
  ['columns', '/predict', { context, candidates: columns }],
  ['options', '/predict', { context, candidates, options: everything }],
  ['gates', '/predict', { context, candidates, options: { gates: true }, tasks: ['task_a', 'task_c'] }],
  ['one task', '/predict', { context, candidates, tasks: ['task_b'] }],
  ['partial', '/predict', { context, candidates: [...candidates, { field_c: 'x' }], options: { partial: true } }],
  [
    'wrong values',
    '/predict',
    { context: { ...context, field_a: 1 }, candidates: [{ field_b: 1, field_c: 'x' }] },
    400,
  ],
  ['fields of the other side', '/predict', { context: { field_b: 'x' }, candidates: [{ field_a: 'x' }] }, 400],
  ['instances', '/v1/models/ads:predict', { instances: candidates.map(({ id, ...row }) => ({ ...context, ...row })) }],
  ['inputs', '/v1/models/ads:predict', { context, inputs: columns }],
  ['tensors of the fields', '/v2/models/ads/infer', { inputs: tensors }],
  ['outputs', '/v2/models/ads/infer', { inputs: tensors, outputs: [{ name: 'task_b' }, { name: 'task_c' }] }],
  ['the description', '/models/ads'],
  ['the description of a version', '/models/ads/versions/1'],
  ['distributions', '/models/ads/versions/1/distributions'],
  ['golden rows', '/models/ads/versions/1/rows'],
  ['values', '/models/ads/fields/field_a/values'],
  ['metadata of TensorFlow Serving', '/v1/models/ads/metadata'],
  ['metadata of the Open Inference Protocol', '/v2/models/ads'],
  ['configuration of the Open Inference Protocol', '/v2/models/ads/config'],
]

for (const [what, path, body, status = 200] of requests) {
  t.test(`${what} are answered the same`, async (t) => {
    const [expected, answer] = [
      await ask(plain, path, body && JSON.stringify(body)),
      await ask(odd, renamed(path), body && renamed(JSON.stringify(body))),
    ]
    t.equal(expected[0], status, JSON.stringify(expected))
    t.same(answer, JSON.parse(renamed(JSON.stringify(expected))))
  })
}

t.test('the console shows them', { skip: skipBrowser }, async (t) => {
  const origin = `http://127.0.0.1:${odd}`
  const { page, faults } = await openPage(t, await openBrowser(t), origin)
  await page.goto(`${origin}/#/models/ads/1`)
  await page.getByRole('heading', { name: 'Quality' }).waitFor()
  const row = page.getByRole('row', { name: /isPrototypeOf/ })
  t.notMatch(await row.allTextContents(), /NaN|undefined/)
  await page.goto(`${origin}/#/playground/ads`)
  await page.getByRole('columnheader', { name: 'propertyIsEnumerable' }).waitFor()
  t.same(faults, [])
})
