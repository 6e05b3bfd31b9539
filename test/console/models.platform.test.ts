import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { Tables } from '../../src/model/serving/tables/tables.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import type { Entities } from '../../src/schemas/entities.ts'
import type { Features } from '../../src/schemas/features.ts'
import { evaluationExample } from '../../src/server/routes/models-docs.ts'
import { axeFindings, changeLook, openBrowser, openPage, skipBrowser as skip } from '../support/browser.ts'
import { multiGateOptions, temporaryFolder, testFeatures, writeTestBundle } from '../support/bundle.ts'
import { importRows } from '../support/feature-table.ts'
import { listFeatures } from '../support/list-features.ts'
import { startTestServer } from '../support/server.ts'

const markup = '<img src=x onerror="document.title=1">'
const hebrew = 'מחיר'

const quality = (auc: number) => ({
  ctr: { rows: 50_000, positives: 1310, auc, logloss: 0.109, normalised_entropy: 0.89, calibration_ratio: 1.01 },
})
const drift = {
  features: {
    country: { ids: [1, 3], shares: [0.5, 0.25, 0.25] },
    price: { edges: [0, Math.log(10)], shares: [0.25, 0.5, 0.25] },
  },
  tasks: { ctr: { edges: [0.5], shares: [0.5, 0.5] } },
}
const towers = { num_hidden_tasks: 2, dim_hidden_tasks: 8, dropout_tasks: 0 }
const embedding = { dim_emb: 4, embedding_l2: 0 }
const ple: ArchitectureOptions = {
  name: 'ple',
  ...embedding,
  num_levels: 2,
  num_experts_task: 1,
  num_experts_shared: 2,
  num_hidden_expert: 1,
  dim_hidden_expert: 8,
  dropout_expert: 0,
  ...towers,
}
const wide: Features = [
  ...testFeatures,
  ...Array.from({ length: 500 }, (_, i) => ({
    name: `${['number', hebrew, markup][i % 3]} ${i}`,
    side: 'candidate' as const,
    kind: 'numeric' as const,
    scaling: { method: 'none' as const },
    missing: { default: 0 },
  })),
]

async function start(t: { teardown(callback: () => Promise<void>): void }, admin: boolean) {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { manifest: { description: 'The first', quality: quality(0.7), drift } })
  await writeTestBundle(models, {
    version: '2',
    seed: 2,
    architecture: { ...multiGateOptions, num_experts: 4 } as ArchitectureOptions,
    manifest: { description: markup, quality: quality(0.8), drift },
  })
  await mkdir(join(models, 'ads', '3'))
  await writeFile(join(models, 'ads', '3', 'manifest.json'), '{')
  await writeTestBundle(models, { name: 'layered', architecture: ple })
  await writeTestBundle(models, {
    name: 'apart',
    architecture: { name: 'esmm', ...embedding, ...towers },
    manifest: { provenance: { field_options: { price: { bins: 16 }, country: { dim: 2, l2: 0.5 } } } },
  })
  await writeTestBundle(models, { name: 'wide', manifest: { features: wide } })
  await writeTestBundle(models, {
    name: 'lists',
    manifest: {
      features: listFeatures,
      drift: { ...drift, lengths: { history: { edges: [0, 2], shares: [0.2, 0.5, 0.3] } } },
    },
  })
  const tables = await writeByIdModel(models)
  const server = await startTestServer(t, {
    models,
    admin,
    tables,
    registry: { defaultModel: 'ads', mode: 'all' },
    clock: { ...systemClock, now: () => 0 },
  })
  await server.fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.fastify.server.address() as AddressInfo
  return { ...server, models, url: `http://127.0.0.1:${port}/` }
}

/** A model by id, and its tables; the names of fields and users are long. */
const long = 'a_field_whose_name_is_as_long_as_names_of_fields_of_wide_models_are'
const byIdFeatures: Features = [
  ...testFeatures,
  ...Array.from({ length: 50 }, (_, i) => ({
    name: `${long}_${i}`,
    side: 'candidate' as const,
    kind: 'numeric' as const,
    scaling: { method: 'none' as const },
    missing: { default: i },
  })),
]
const entities: Entities = {
  ad: {
    ...{ key: 'ad_id', side: 'candidate', table: 'ads', unknown: 'leave_out', max_age_seconds: 1e9 },
    features: byIdFeatures.flatMap(({ name, side }) => (side === 'candidate' ? [name] : [])),
  },
  user: { key: 'user_id', side: 'context', table: 'users', features: ['country'], unknown: 'defaults' },
}

async function writeByIdModel(models: string): Promise<Tables> {
  await importRows(
    models,
    'ads',
    ['ad-1', 'ad-2', 'ad-3'].map((id, i) => ({
      ...{ id, campaign: `c${i}`, price: i + 0.5 },
      ...Object.fromEntries(Array.from({ length: 50 }, (_, k) => [`${long}_${k}`, k === 0 && i === 0 ? null : k])),
    })),
  )
  await importRows(models, 'users', [
    { id: 'u1', country: 'DE' },
    { id: 'u2', country: 'FR' },
  ])
  await writeTestBundle(models, { name: 'by-id', manifest: { features: byIdFeatures, entities } })
  const tables = new Tables(models)
  await tables.refresh()
  return tables
}

const browser = skip ? undefined : await openBrowser(t)

t.test('the pages of models', { skip }, async (t) => {
  const { url, predict, models } = await start(t, true)
  const faults: string[][] = []
  async function visit(hash: string): Promise<Page> {
    const { page, faults: found } = await openPage(t, browser!, url, { viewport: { width: 1280, height: 900 } })
    faults.push(found)
    await page.goto(`${url}${hash}`)
    await page.locator('h1').waitFor()
    return page
  }
  const candidates = [{ campaign: 'c', price: 4 }]
  for (let i = 0; i < 510; i++) await predict({ version: '2', context: { country: 'FR', hour: 1 }, candidates })
  await predict({ version: '2', context: { country: 'XX', hour: 1 }, candidates })

  await t.test('the list has every version with its state, quality and drift', async (t) => {
    const page = await visit('#/models')
    const ads = page.locator('section', { has: page.getByRole('heading', { name: 'ads' }) })
    await ads.getByText('failed', { exact: true }).waitFor()
    t.match(
      await ads.locator('.notice.bad').textContent(),
      /Version 3 failed to load: ads\/3\/manifest\.json is not JSON/,
    )
    const second = ads.getByRole('row', { name: /Version 2/ })
    t.match(await second.textContent(), /ready.*answers.*ctr 0\.800.*drifted.*most: country/)
    t.match(await ads.getByRole('row', { name: /Version 1/ }).textContent(), /ready.*ctr 0\.700.*too few values/)
    await second.getByRole('link', { name: 'Version 2' }).click()
    await page.getByRole('heading', { name: 'ads version 2' }).waitFor()
    await page.close()
  })

  await t.test('a version has its architecture as a drawing and as text', async (t) => {
    const page = await visit('#/models/ads/2')
    await page.getByRole('img', { name: /Multi-gate mixture of experts/ }).waitFor()
    const parts = await page.locator('.architecture .part strong').allTextContents()
    for (const part of ['Expert 4', 'Gate of ctr', 'Gate of cvr', 'Tower of ctr', 'cvr', 'ctcvr'])
      t.ok(parts.includes(part), part)
    await page.getByText('The same as text').click()
    t.match(await page.locator('.parts-text').textContent(), /Gate of ctr.*reads.*Expert 1/)
    t.equal(await page.getByText(markup, { exact: true }).count(), 1, 'markup is text')
    t.equal(await page.getByText('none: the product of ctr and cvr is served').count(), 1)
    await page.close()

    const layered = await visit('#/models/layered/1')
    await layered.locator('.architecture').waitFor()
    const columns = await layered.locator('.architecture > text').allTextContents()
    t.same(columns, [
      'Fields',
      'Embeddings',
      'Experts 1',
      'Gates 1',
      'Experts 2',
      'Gates 2',
      'Towers',
      'Tasks',
      'Derived tasks',
    ])
    const legend = (page: Page) => page.getByRole('list', { name: 'Lines' }).getByRole('listitem').allTextContents()
    t.match(await legend(layered), [/next column/, /later column/])
    await layered.close()
    const apart = await visit('#/models/apart/1')
    await apart.getByRole('img', { name: /ESMM/ }).waitFor()
    t.match(await legend(apart), [/next column/])
    t.equal((await legend(apart)).length, 1, 'of the lines that there are')
    t.match(await apart.locator('.architecture').textContent(), /Bins.*at most price: 16.*; country: 2/)
    await apart.getByText('price: bins 16; country: dim 2, l2 0.5', { exact: true }).waitFor()
    await apart.close()
  })

  await t.test('fields that drifted come first, with their histogram and its numbers', async (t) => {
    const page = await visit('#/models/ads/2?section=drift')
    const first = page.locator('.drifts > li').first()
    await first.waitFor()
    await page.locator('#drift:focus').waitFor()
    t.pass('a link leads to its section')
    t.match(await first.locator('summary').textContent(), /^countrydrifted/)
    await page.getByText(/^Of 3 fields and tasks: \d drifted/).waitFor()
    t.match(await first.locator('summary').textContent(), /1 unknown/)
    await first.locator('summary').focus()
    await page.keyboard.press('Enter')
    await first.getByRole('img', { name: /Shares of country/ }).waitFor()
    await first.getByText('Numbers', { exact: true }).click()
    await first.getByText(/^Moved most: .+, [\d.]+% then, [\d.]+% now\./).waitFor()
    const rows = await first.getByRole('row').allTextContents()
    t.same(rows[0], 'ValueThenNow')
    t.same(rows[1], 'DE50%0%')
    await page.goto(`${url}#/models/ads/1?section=drift`)
    await page.getByText('No index yet: each needs 500 recent values.').waitFor()
    await first.getByText(/^\d+ of 500$/).waitFor()
    await page.close()
  })

  await t.test('a list says how it is, and drifts by its length and its values', async (t) => {
    const page = await visit('#/models/lists/1')
    const history = page.getByRole('row', { name: /^history/ })
    await history.getByText('in the test rows mostly 0 to 2 values').waitFor()
    t.match(await history.textContent(), /at most 3; .* the last are kept.*sequence seen.*shares the table of item/)
    t.match(await page.getByRole('row', { name: /^tags/ }).textContent(), /at most 2, with a weight each/)
    t.match(await page.getByRole('row', { name: /^image/ }).textContent(), /2 numbers/)
    const drifts = page.locator('.drifts > li')
    const textOf = (name: string) => drifts.filter({ hasText: name }).locator('summary').textContent()
    t.match(await textOf('history length'), /too few values0 of 500/)
    t.match(await textOf('history values'), /no reference/)
    t.match(await textOf('image vector'), /not compared/)
    await drifts.filter({ hasText: 'history length' }).locator('summary').press('Enter')
    await page.getByRole('img', { name: /^Shares of lengths of history then and now/ }).waitFor()
    await page.close()
  })

  await t.test('two versions are compared, whichever is named first', async (t) => {
    for (const hash of ['#/models/ads/2?against=1', '#/models/ads/1?against=2']) {
      const page = await visit(hash)
      await page.getByText('What changed in version 2, compared with version 1.').waitFor()
      t.match(await page.getByRole('row', { name: /ctr AUC/ }).textContent(), /0\.70000\.8000\+0\.1000better/)
      t.match(await page.getByRole('row', { name: /num_experts/ }).textContent(), /num_experts34/)
      await page.close()
    }
  })

  await t.test('a version is rolled back to after a second question, and unpinned', async (t) => {
    const page = await visit('#/models/ads/1?section=serving')
    await page.getByRole('button', { name: 'Roll back to version 1 …' }).click()
    const dialog = page.getByRole('dialog')
    t.match(await dialog.textContent(), /Version 1 of ads answers all requests .* in place of version 2/)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await t.rejects(
      readFile(join(models, 'ads/labels.json')),
      { code: 'ENOENT' },
      'nothing happens without the second answer',
    )
    await page.getByRole('button', { name: 'Roll back to version 1 …' }).press('Enter')
    await dialog.getByRole('button', { name: 'Roll back to version 1' }).press('Enter')
    await page.getByText('Done. Version 1 answers now.').waitFor()
    t.same(JSON.parse(await readFile(join(models, 'ads/labels.json'), 'utf8')), { $pin: '1' })
    await page.getByRole('button', { name: 'Unpin …' }).click()
    await dialog.getByRole('button', { name: 'Unpin' }).click()
    await page.getByText('Done. Version 2 answers now.').waitFor()
    await page.goto(`${url}#/models/ads/2?section=serving`)
    await page.getByRole('heading', { name: 'ads version 2' }).waitFor()
    t.equal(await page.getByLabel('Version to serve').inputValue(), '1', 'the one before it, loaded or not')

    await page.getByRole('button', { name: 'Roll back to version 1 …' }).click()
    await rename(join(models, 'ads/1'), join(models, 'ads/gone'))
    await dialog.getByRole('button', { name: 'Roll back to version 1' }).click()
    t.match(await dialog.getByRole('alert').textContent(), /Nothing has changed\. ads has no version 1/)
    await rename(join(models, 'ads/gone'), join(models, 'ads/1'))
    await page.close()
  })

  await t.test('hundreds of fields come in pages, and are found; their names are text', async (t) => {
    const page = await visit('#/models/wide/1')
    await page.getByText('fields 1–20 of 505').waitFor()
    t.ok((await page.locator('*').count()) < 2000, 'elements')
    await page.getByLabel('Search fields', { exact: true }).fill(`${markup} 2`)
    await page
      .locator('td bdi', { hasText: `${markup} 2` })
      .first()
      .waitFor()
    t.equal(await page.locator('img').count(), 0)
    await page.getByLabel('Search fields', { exact: true }).fill(`${hebrew} 499`)
    await page.locator('td bdi', { hasText: `${hebrew} 499` }).waitFor()
    t.not(await page.title(), '1')
    await page.close()
  })

  await t.test('tables are shown from the model that reads them to the keys that they lack', async (t) => {
    await predict({ model: 'by-id', context: { user_id: 'u1', hour: 3 }, candidates: ['ad-1', markup] })
    const page = await visit('#/models/by-id/1?section=entities')
    const section = page.getByRole('region', { name: 'Entities' })
    t.match(await section.textContent(), /52 fields.*and 32 more/)
    t.match(await section.textContent(), /1 found, 1 unknown \(50%\)last unknown: <img/)
    t.match(await section.textContent(), /the candidate is left out/)
    await section.getByRole('link', { name: 'ads', exact: true }).click()
    const readers = page.getByRole('region', { name: 'Models that read it' })
    t.match(await readers.getByRole('row').nth(1).textContent(), /by-id version 1adad_id1 found, 1 unknown/)
    t.match(await page.getByRole('region', { name: 'Version', exact: true }).textContent(), /Rows3.*ads\.jsonl/)
    t.equal(await page.getByRole('link', { name: 'Models', exact: true }).first().getAttribute('aria-current'), 'true')
    await page.goto(`${url}#/models`)
    await page.getByRole('link', { name: '2 feature tables' }).click()
    await page.getByRole('link', { name: 'users', exact: true }).click()
    await page.getByRole('heading', { name: 'users' }).waitFor()
    await page.goto(`${url}#/tables/nothing`)
    await page.getByText('There is no such table').waitFor()
    t.equal(await page.locator('img').count(), 0)
    await page.close()
  })

  await t.test('the playground asks by id; a value that is entered wins, and is taken back', async (t) => {
    const page = await visit('#/playground/by-id')
    const price = page.getByLabel('price of ad-2', { exact: true })
    await price.and(page.getByPlaceholder('1.5', { exact: true })).waitFor()
    t.equal(await price.inputValue(), '')
    const code = page.getByRole('region', { name: 'The request as a program' })
    t.match(await code.textContent(), /"ad_id": "ad-1",\s+"views"/)
    await page.getByLabel('user_id', { exact: true }).fill('u1')
    await page.getByLabel('country', { exact: true }).fill('')
    await page.getByText(/stored in the table/).waitFor()
    t.equal(await page.getByLabel('country', { exact: true }).getAttribute('placeholder'), 'DE')
    await price.fill('9')
    await page.getByRole('button', { name: 'Use the stored value of price of ad-2' }).click()
    t.equal(await price.inputValue(), '')
    await page.getByLabel('ad_id of ad-3').fill('gone')
    await page
      .getByText(/no row of "gone": the candidate is left out/)
      .first()
      .waitFor()
    await page.close()
  })

  await t.test('nothing is inaccessible, cut or wider than the page', async (t) => {
    const sizes = [1280, 390]
    const colours = ['light', 'dark'] as const
    const all = sizes.flatMap((width) => colours.map((scheme) => ({ width, scheme })))
    const some = sizes.map((width, i) => ({ width, scheme: colours[i]! }))
    for (const [hash, looks] of [
      ['#/models/ads/2', all],
      ['#/models', some],
      ['#/models/wide/1', some],
      ['#/models/lists/1', some],
      ['#/models/by-id/1', all],
      ['#/tables', all],
      ['#/tables/ads', all],
      ['#/models/ads/2?against=1', some],
    ] as const) {
      const page = await visit(hash)
      await page.locator('section.card, main table').first().waitFor()
      await page.locator('main .spinner').first().waitFor({ state: 'detached' })
      const details = page.locator('.drifts summary').first()
      if (!hash.includes('?') && /models\/(?!by-id)/.test(hash)) await details.click()
      for (const { width, scheme } of looks) {
        await changeLook(page, { viewport: { width, height: 900 }, colorScheme: scheme })
        const place = `${hash}, ${width} px, ${scheme}`
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${place}: width`)
        t.same(await axeFindings(page), [], `${place}: accessibility`)
        if (hash === '#/models')
          t.ok(
            await page.evaluate(
              "[...document.querySelectorAll('.versions td')].every((cell) => cell.getBoundingClientRect().right < innerWidth)",
            ),
            `${place}: all columns are in view`,
          )
      }
      await page.close()
    }
  })

  t.same(faults.flat(), [])
})

t.test('without administration, and of what is not there, pages say so', { skip }, async (t) => {
  const { url } = await start(t, false)
  const { page, faults } = await openPage(t, browser!, url)
  for (const [hash, text] of [
    ['#/models/nothing', /There is no model called "nothing"/],
    ['#/models/ads/3', /^ads\/3\/manifest\.json is not JSON/],
    ['#/models/ads/9', /ads has no version 9/],
  ] as const) {
    await page.goto(`${url}${hash}`)
    await page.getByText(text).waitFor()
    if (hash === '#/models/ads/3')
      t.equal(await page.getByRole('alert').locator('strong').textContent(), 'Version 3 failed to load')
    t.pass(hash)
  }
  await page.goto(`${url}#/models/ads/1`)
  await page.getByText(/does not allow administration .* multigate pin ads 1, .* multigate unpin ads/).waitFor()
  t.equal(await page.getByRole('button', { name: /version 1/ }).count(), 0)
  t.same(faults, [])
})

t.test('the report that a version was published with', { skip }, async (t) => {
  const models = await temporaryFolder(t)
  const report = {
    ...evaluationExample,
    warnings: [markup],
    comparison: { a: 'ads/1', b: 'ads/2', verdict: 'worse', reasons: ['ctr: AUC is worse'], tasks: [] },
    publish: { passed: true, conditions: [{ condition: 'ctr AUC ≥ 0.75', passed: true, found: '0.7918' }] },
  }
  const evaluated = { files: { 'evaluation.json': Buffer.from(JSON.stringify(report)) } }
  await writeTestBundle(models, evaluated)
  await writeTestBundle(models, { version: '2', ...evaluated })
  await writeTestBundle(models, { name: 'torn', files: { 'evaluation.json': Buffer.from('{') } })
  const { fastify } = await startTestServer(t, { models, registry: { mode: 'all' } })
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 })
  for (const width of [1280, 390]) {
    const { page } = await openPage(t, browser!, url, { viewport: { width, height: 900 } })
    await page.goto(`${url}/#/models/ads/1?section=evaluation`)
    const section = page.getByRole('region', { name: 'Evaluation' })
    await section.getByRole('img', { name: /Reliability of ctr: 1 of 1 bins are as predicted/ }).waitFor()
    t.match(await section.textContent(), /AUC 0\.7918 \(0\.7886 to 0\.7950\)/)
    t.match(await section.textContent(), /met ctr AUC ≥ 0\.75/)
    t.ok((await section.textContent())!.includes(markup), 'names are text')
    await section.getByText('Parts that are calibrated worst').click()
    t.match(await section.getByRole('region', { name: /Parts of the rows of ctr/ }).textContent(), /device.*tablet/)
    t.same(await axeFindings(page), [], `${width} px`)
    await page.close()
  }
  const { page } = await openPage(t, browser!, url)
  await page.goto(`${url}/#/models/ads/2?against=1`)
  await page.getByText('Compared with ads/1 on the same rows: worse (ctr: AUC is worse).').waitFor()
  await page.goto(`${url}/#/models/torn/1`)
  await page.getByText(/torn\/1\/evaluation\.json is not JSON/).waitFor()
})

t.test('the plan says what compiling gains', { skip }, async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const compiler = { cache: await temporaryFolder(t), candidateBytes: 1 << 20, now: Date.now, onWarning: t.fail }
  const { fastify } = await startTestServer(t, { models, limits: { compiler } })
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { page } = await openPage(t, browser!, url)
  await page.goto(`${url}/#/models/ads/1`)
  await page.getByText(/100 candidates takes .+ µs by the graph as saved and .+ µs compiled: .+ times faster/).waitFor()
  const costs = page.getByRole('region', { name: 'Costs of calls' })
  t.match(await costs.locator('tbody tr').first().textContent(), /^the graph as saved.*µs.*µs.*µs/)
  t.match(await costs.textContent(), /the whole graph, compiled/)
})

t.test('a folder that can’t be read is named, and what is loaded stays', { skip }, async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { fastify, registry } = await startTestServer(t, { models })
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 })
  await rename(models, `${models}-moved`)
  t.teardown(() => rename(`${models}-moved`, models))
  await registry.reconcile()
  const { page } = await openPage(t, browser!, url)
  await page.goto(`${url}/#/models`)
  await page.getByText('The models folder can’t be read.').waitFor()
  await page.getByText('it is missing. Loaded versions go on serving').waitFor()
  t.match(await page.getByRole('row', { name: /Version 1/ }).textContent(), /ready.*answers/)
})
