// Crossed fields made of a list: trained, compiled, served in every form of a request, judged and continued.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { startTestServer } from '../../support/server.ts'
import { specs } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const words = ['a', 'b', 'c', 'd', 'e']
const crossed = [
  { name: 'hour_tags', kind: 'crossed', of: ['hour', 'tags'], pooling: 'sum' },
  { name: 'movie_liked', kind: 'crossed', of: ['movie', 'liked'], buckets: 40 },
  { name: 'hour_liked', kind: 'crossed', of: ['hour', 'liked'], pooling: 'max' },
  { name: 'hour_movie', kind: 'crossed', of: ['hour', 'movie'] },
]
const spec = {
  name: 'films',
  data: { csv: ['log.csv'] },
  tasks: [{ name: 'ctr', label: 'click == "1"' }],
  fields: [
    { name: 'hour', side: 'context', kind: 'integer', size: 24 },
    { name: 'movie', kind: 'vocabulary' },
    { name: 'tags', kind: 'vocabulary', missing: { default: [] }, list: { max: 3, separator: '|' } },
    {
      ...{ name: 'liked', side: 'context', kind: 'vocabulary', missing: { default: [] } },
      ...{ list: { max: 10, keep: 'last', separator: '|', weighted: true }, weights: 'times' },
    },
    ...crossed,
  ],
  split: { by: 'order', train: 0.6, validation: 0.2, test: 0.2 },
  architecture: {
    ...{ name: 'shared_bottom', dim_emb: 4, dims_shared: [8], dims_tasks: [4], activation: 'tanh' },
    ...{ wide: true, embedding_l2: 0.001 },
  },
  training: { epochs: 1, batch_size: 64, learning_rate: 0.01, unknown: 0.1 },
}

/** Who likes `a` clicks movie 0, and who likes `b` movie 1: neither value tells it alone. */
function csv(rows = 1500): string {
  const random = createRandom(4)
  const lines = Array.from({ length: rows }, () => {
    const movie = random.integer(2)
    const liked = words.slice(2).filter(() => random.uniform() < 0.4)
    const favourite = words[random.integer(2)]!
    liked.push(favourite)
    const click = Number((favourite === 'a') === (movie === 0))
    const times = liked.map(() => 1 + random.integer(3))
    const tags = words.filter(() => random.uniform() < 0.4).join('|')
    return `${random.integer(24)},m${movie},${tags},${liked.join('|')},${times.join('|')},${click}`
  })
  return `hour,movie,tags,liked,times,click\n${lines.join('\n')}\n`
}

const folder = await temporaryFolder(t)
const models = join(folder, 'models')
await writeFile(join(folder, 'log.csv'), csv())
await trainIn(folder, { ...spec, training: { ...spec.training, epochs: 6 } })
const { manifest } = await readBundle(models, 'films', '1')

t.test('the network learns what neither part of a combination tells', async (t) => {
  t.ok(manifest.quality!.ctr!.auc! > 0.95, `${manifest.quality!.ctr!.auc}`)
  const { hour_tags, movie_liked } = manifest.provenance!.field_options!
  t.same([hour_tags, movie_liked], [{ pooling: 'sum' }, undefined])
})

t.test('every form of a request is answered as training did, by graphs that are split and cut', async (t) => {
  // The server refuses versions that do not answer golden rows as training did.
  const warnings: string[] = []
  const compiler = {
    ...{ cache: await temporaryFolder(t), candidateBytes: 1 << 20, now: Date.now },
    onWarning: (message: string) => warnings.push(message),
  }
  const server = await startTestServer(t, { models, limits: { compiler } })
  t.same(warnings, [])
  const read = async (url: string) => JSON.parse((await server.fastify.inject({ method: 'GET', url })).body)
  const details = await read('/models/films')
  t.match(details.crossed, [
    { name: 'hour_tags', side: 'cross', max: 3, hashed: false },
    { name: 'movie_liked', side: 'cross', max: 10 },
    { name: 'hour_liked', side: 'context', max: 10 },
    { name: 'hour_movie', side: 'cross' },
  ])
  t.equal(details.plan.compiled, true)
  t.equal(details.plan.split_by_side, true, JSON.stringify(details.plan))
  t.same(
    details.plan.notes.filter((note: string) => /list/.test(note)),
    [],
  )
  const ask = async (body: object) => {
    const { status, body: answer } = await server.predict(body)
    t.equal(status, 200, JSON.stringify(answer))
    const { predictions } = answer
    return Array.isArray(predictions) ? predictions.map(({ ctr }: { ctr: number }) => ctr) : predictions.ctr
  }
  const context = { hour: 4, liked: { values: ['c', 'a'], weights: [1, 2] } }
  const candidates = [
    { movie: 'm0', tags: ['a', 'b'] },
    { movie: 'm1', tags: [] },
    { movie: 'm0', tags: ['e', 'd', 'c', 'b'] },
  ]
  const byRow = await ask({ context, candidates })
  t.ok(byRow[0] > 0.8 && byRow[1] < 0.2)
  const close = (got: number[]) => {
    for (const [i, ctr] of got.entries()) t.ok(Math.abs(ctr - byRow[i]!) < 1e-6)
  }
  close(
    await ask({
      context,
      candidates: { movie: candidates.map(({ movie }) => movie), tags: candidates.map(({ tags }) => tags) },
    }),
  )
  close(await ask({ candidates: candidates.map((candidate) => ({ ...candidate, ...context })) }))
  const alone = await Promise.all(candidates.map((candidate) => ask({ context, candidates: [candidate] })))
  close(alone.flat())
  t.match(details.inputs, [
    { name: 'sparse', shape: [2 + 3 + 10] },
    { name: 'dense', shape: [10] },
  ])
  const ids = (await read('/models/films')).fields.map(
    ({ encoding }: { encoding: { ids: number[] } }) => encoding.ids[0],
  )
  const pad = (values: number[], width: number, of: number) => [...values, ...new Array(width - values.length).fill(of)]
  // Ids of movies follow that of unknown ones; those of lists, that of padding, too.
  const sparse = [
    [ids[0] + 5, ids[1] + 1, ...pad([ids[2] + 2, ids[2] + 3], 3, ids[2]), ...pad([ids[3] + 4, ids[3] + 2], 10, ids[3])],
  ]
  close(await ask({ sparse, dense: [pad([1, 2], 10, 0)] }))
})

t.test('the version is judged, and training goes on', async (t) => {
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec))
  const judged = await runCli(['evaluate', 'films/1', '--models', models, '--data', join(folder, 'spec.json')])
  t.match(judged, { code: 0, stdout: /ctr/ })
  await trainIn(folder, { data: spec.data, split: spec.split, training: spec.training }, 'films/1')
  const next = (await readBundle(models, 'films', '2')).manifest
  t.same(next.crossed, manifest.crossed)
  t.same(next.provenance!.field_options, manifest.provenance!.field_options)
})

t.test('what lists can not be crossed with is named', async (t) => {
  const problem = async (field: object, message: RegExp) => {
    const fields = [...spec.fields.slice(0, 4), { name: 'x', kind: 'crossed', ...field }]
    await writeFile(join(folder, 'wrong.json'), JSON.stringify({ ...spec, fields }))
    await t.rejects(readSpec(join(folder, 'wrong.json'), specs), { message })
  }
  await problem(
    { of: ['tags', 'liked'] },
    /\/fields\/4\/of\/1 "liked" is a list, as "tags" is: one of the fields may be/,
  )
  await problem(
    { of: ['hour', 'movie'], pooling: 'sum' },
    /\/fields\/4\/pooling has no effect: none of the fields that it is made of is a list/,
  )
})
