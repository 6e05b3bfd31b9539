import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { failureOf, formatServed, verifyService } from '../../../src/tools/convert/verify-service.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const golden = { rows: [{ price: 1 }], probabilities: [[0.25]], tolerance: 1e-5 }

t.test('a model that fails does not hide the others', async (t) => {
  const models = await temporaryFolder(t)
  const manifests = { ads: golden, late: golden, shop: golden, wrong: golden, plain: undefined }
  for (const [name, golden] of Object.entries(manifests)) {
    await mkdir(join(models, name, '1'), { recursive: true })
    await writeFile(join(models, name, '1/manifest.json'), JSON.stringify({ tasks: [{ name: 'ctr' }], golden }))
  }
  const served = ['away', 'ads', 'late', 'elsewhere', 'wrong', 'plain', 'shop'].map((name) => ({
    name,
    ...(name !== 'away' && { default_version: '1' }),
    versions: [],
  }))
  const answers: Record<string, number> = { ads: 0.25, shop: 0.25, wrong: 0.5 }
  const checked = await verifyService(async (_, path, body) => {
    if (path === '/models') return { models: served }
    const { model } = body as { model: string }
    if (answers[model] === undefined) throw new Error('POST /predict answers 503')
    return { predictions: [{ raw: { ctr: answers[model] } }] }
  }, models)

  const lines = formatServed(checked).split('\n')
  t.equal(lines[0], 'away: failed, no version answers')
  t.equal(lines[1], 'ads/1: 1 golden rows answered correctly')
  t.equal(lines[2], 'late/1: failed, POST /predict answers 503')
  t.match(lines[3], /^elsewhere\/1: failed, .* does not exist: --models names another folder$/)
  t.match(lines[4], /^wrong\/1: failed, .*manifest\.json: .* wrong\/1 answers 0\.5 for ctr/)
  t.equal(lines[5], 'plain/1: not checked, its manifest has no golden rows')
  t.equal(lines[6], 'shop/1: 1 golden rows answered correctly')
  t.equal(failureOf(checked), '4 of 7 models failed: away, late/1, elsewhere/1, wrong/1')
})

t.test('versions that break what others answer are named, and fail nothing', async (t) => {
  const problems = ['the task cvr is no longer answered', 'the field age is now required']
  const versions = [{ version: '3', state: 'failed', incompatible: { with: '2', problems } }, { version: '2' }]
  const models = await temporaryFolder(t)
  await mkdir(join(models, 'ads/2'), { recursive: true })
  const checked = await verifyService(
    async () => ({ models: [{ name: 'ads', default_version: '2', versions }] }),
    models,
  )
  t.same(formatServed(checked).split('\n'), [
    'ads/2: not checked, it has no manifest',
    'ads/3 is incompatible with ads/2: the task cvr is no longer answered; the field age is now required',
  ])
})

t.test('a service without golden rows is not verified', async (t) => {
  t.equal(failureOf([{ version: 'ads/1', rows: 0, skipped: 'it has no manifest' }]), 'no model has golden rows')
  t.equal(failureOf([]), 'no model has golden rows')
  t.equal(failureOf([{ version: 'ads/1', rows: 8 }]), undefined)
})
