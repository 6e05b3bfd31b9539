// Hashes of other teams' pipelines, as users meet them: asked for in a spec, trained, served in every form of a
// request, described, and continued.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { farmhash64, xxhash64 } from '../../../src/base/hash64.ts'
import { layoutOf } from '../../../src/model/serving/features/layout.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { smallBody } from '../../../src/server/body/read-json.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const { fields, training, ...rest } = tinySpec()
const [colour, shop, ...others] = fields
const farmhash = { ...shop, hash: 'farmhash64' }
const maker = { name: 'maker', column: 'colour', kind: 'hash', hash: 'xxhash64', buckets: 5, seed: 42 }
const spec = { ...rest, fields: [colour, farmhash, ...others, maker], training: { ...training, epochs: 1 } }
const folder = await temporaryFolder(t)
const models = join(folder, 'models')
await writeFile(join(folder, 'tiny.csv'), tinyCsv())
await trainIn(folder, spec)
const { manifest } = await readBundle(models, 'tiny', '1')
// The server refuses versions that do not answer golden rows as training did.
const server = await startTestServer(t, { models, maxBodyBytes: 4_000_000 })

t.test('the version hashes as its spec says', async (t) => {
  const { features } = manifest
  t.match(features[1], { name: 'shop', hash: 'farmhash64', buckets: 8 })
  t.notOk('seed' in features[1]!)
  t.match(features.at(-1), { name: 'maker', hash: 'xxhash64', buckets: 5, seed: 42 })
  const { byName, sparse } = layoutOf(manifest)
  const idOf = (name: string, value: string) => {
    const { column, encoder } = byName.get(name)!
    return Number(encoder.encode(value)) - sparse[column]!.offset
  }
  t.equal(idOf('shop', 'größe 7'), farmhash64(8)('größe 7'))
  t.equal(idOf('maker', 'größe 7'), xxhash64(5, 42)('größe 7'))
})

async function ask(url: string, body: object, padding = '') {
  const payload = JSON.stringify(body).replace(/^\{/, `{${padding}`)
  const headers = { 'content-type': 'application/json' }
  const answer = await server.fastify.inject({ method: 'POST', url, payload, headers })
  t.equal(answer.statusCode, 200, answer.payload)
  return answer.json()
}

t.test('every form of a request is answered as training answered', async (t) => {
  const rows = manifest.golden!.rows.slice(0, 4)
  const byRow = (await ask('/predict', { candidates: rows })).predictions
  byRow.forEach(({ ctr, cvr }: Record<string, number>, row: number) => {
    const expected = manifest.golden!.served![row]!
    t.ok(Math.abs(ctr! - expected[0]!) < 1e-5 && Math.abs(cvr! - expected[1]!) < 1e-5)
  })
  const ctr = byRow.map(({ ctr }: Record<string, number>) => ctr)
  const columns = Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name]!)]))
  const padding = ' '.repeat(smallBody)
  const inputs = Object.entries(columns).map(([name, data]) => ({
    ...{ name, shape: [data.length], data },
    datatype: typeof data[0] === 'string' ? 'BYTES' : name === 'hour' ? 'INT64' : 'FP64',
  }))
  for (const thread of ['', padding]) {
    t.same((await ask('/predict', { candidates: rows }, thread)).predictions, byRow)
    t.same((await ask('/predict', { candidates: columns }, thread)).predictions.ctr, ctr)
    const inferred = await ask('/v2/models/tiny/infer', { inputs, outputs: [{ name: 'ctr' }] }, thread)
    t.same(inferred.outputs[0].data, ctr)
    const served = await ask('/v1/models/tiny:predict', { instances: rows }, thread)
    t.same(
      served.predictions.map(({ ctr }: Record<string, number>) => ctr),
      ctr,
    )
  }
})

t.test('the description of the version names the hash, and the seed where there is one', async (t) => {
  const details = (await server.fastify.inject('/models/tiny')).json()
  const encodings = details.fields.map(({ encoding }: { encoding: object }) => encoding)
  t.match(encodings[1], { hash: 'farmhash64', buckets: 8 })
  t.notOk('seed' in encodings[1])
  t.match(encodings.at(-1), { hash: 'xxhash64', buckets: 5, seed: 42 })
})

t.test('training goes on with the hashes of the version, whether or not the spec names them', async (t) => {
  const { data, split } = spec
  const short = { data, split, training: spec.training }
  await trainIn(folder, short, 'tiny/1')
  await trainIn(folder, spec, 'tiny/1')
  for (const version of ['2', '3'])
    t.same((await readBundle(models, 'tiny', version)).manifest.features, manifest.features)
  const refuses = async (message: string, ...fields: object[]) => {
    const { message: said } = await trainIn(folder, { ...short, fields }, 'tiny/1').catch((error) => error)
    t.ok(said.endsWith(message), said)
  }
  await refuses('/fields/0/hash must be farmhash64, as in tiny/1', { name: 'shop', hash: 'xxhash64', seed: 3 })
  await refuses('/fields/0/hash must be farmhash64, as in tiny/1', { name: 'shop', hash: 'murmur3' })
  await refuses('/fields/0/hash must be xxhash64, as in tiny/1', { name: 'maker', hash: 'farmhash64' })
  await refuses('/fields/0/seed must be 42, as in tiny/1', { name: 'maker', seed: 43 })
  await refuses('/fields/0/seed must be left out: farmhash64 has no seed', { name: 'shop', seed: 0 })
})
