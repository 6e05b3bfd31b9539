// Sequences in a report: how long they are, and the attention to their items in golden rows.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLayersModel } from '../../../src/model/graph/lower/layers/layers-model.ts'
import { layoutOf } from '../../../src/model/serving/features/layout.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { check } from '../../../src/schemas/check.ts'
import { EvaluationReport } from '../../../src/schemas/evaluation.ts'
import type { SequenceUse } from '../../../src/schemas/sequence-use.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { listCsv, listSpec } from '../../support/list-rows.ts'
import { trainIn } from '../../support/trained.ts'

const spec = { ...listSpec(), data: { csv: ['views.csv'], separator: ';' } }

async function judged(changes: object, name = 'shared_bottom') {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'views.csv'), listCsv())
  const architecture = { name, dim_emb: 4, dims_shared: [8], dims_tasks: [4] }
  await trainIn(folder, { ...spec, ...(name === 'shared_bottom' && { architecture }), ...changes })
  const models = join(folder, 'models')
  const args = ['evaluate', 'views/1', '--models', models, '--data', join(folder, 'spec.json')]
  const { code, stdout, stderr } = await runCli([...args, '--report', join(folder, 'report')])
  t.equal(code, 0, stderr)
  const report = JSON.parse(await readFile(join(folder, 'report/report.json'), 'utf8')) as EvaluationReport
  const problems: never[] = []
  check(EvaluationReport, report, '', problems)
  t.same(problems, [])
  const html = await readFile(join(folder, 'report/report.html'), 'utf8')
  const { manifest, folder: version } = await readBundle(models, 'views', '1')
  return { sequences: report.sequences!, html, text: stdout, manifest, version }
}

const rowsWithItems = ({ attention }: SequenceUse) => attention!.rows

t.test('weights are those by which the network weighs items, and lists are as long as in the rows', async (t) => {
  const sequences = [{ name: 'views', attention: 'dot_product', target: ['item'] }]
  const { sequences: found, html, text, manifest, version } = await judged({ sequences })
  t.match(found, [
    { name: 'views', fields: ['viewed', 'ages'], max: 4 },
    { name: 'tags', fields: ['tags'], max: 3 },
  ])
  // Lists have 0 to 6 items alike, and a few are missing; those of more than 4 are cut.
  const { mean, p10, median, p90, most, empty, cut } = found[0]!.lengths
  t.same([p10, most], [0, 6])
  t.ok(mean > 2.3 && mean < 3.4 && median >= 2 && median <= 4 && p90 >= 5, JSON.stringify(found[0]!.lengths))
  t.ok(empty > 0.1 && empty < 0.3 && cut > 0.15 && cut < 0.4)
  t.notOk(found[1]!.attention, 'a list that is pooled has none')

  const { weights } = await readLayersModel(version, manifest.graph.file)
  const table = new Float32Array(weights.get('embedding/embeddings')!.data.slice().buffer)
  const { encoder } = layoutOf(manifest).byName.get('item')!
  const row = (item: unknown) => table.subarray(4 * Number(encoder.encode(item)), 4 * Number(encoder.encode(item)) + 4)
  t.ok(rowsWithItems(found[0]!).length > 0)
  for (const { row: number, target, items, more } of rowsWithItems(found[0]!)) {
    const golden = manifest.golden!.rows[number - 1]! as Record<string, unknown[]>
    const last = golden.viewed!.slice(-4)
    t.same(target, { item: golden.item })
    t.equal(items.length + more, last.length)
    const scores = last.map((item) => row(item).reduce((sum, x, i) => sum + x * row(target.item)[i]!, 0) / 2)
    const all = scores.reduce((sum, score) => sum + Math.exp(score), 0)
    const expected = last.map((item, i) => ({
      item,
      age: golden.ages!.slice(-4)[i],
      weight: Math.exp(scores[i]!) / all,
    }))
    expected.sort((a, b) => b.weight - a.weight)
    for (const [i, { values, weight, share }] of items.entries()) {
      t.ok(Math.abs(weight - expected[i]!.weight) < 1e-5)
      t.ok(Math.abs(share - weight) < 1e-5)
      if (
        Math.abs(weight - (expected[i + 1]?.weight ?? 0)) > 1e-5 &&
        Math.abs(weight - (expected[i - 1]?.weight ?? 1)) > 1e-5
      )
        t.same(values, { viewed: expected[i]!.item, ages: expected[i]!.age })
    }
  }
  const { row: number, target } = rowsWithItems(found[0]!)[0]!
  t.match(text, /views \(viewed, ages\): \d\.\d values on average; 10 % of the lists have at most 0, half \d/)
  t.match(text, `dot_product in golden row ${number}, item ${target.item}:\n`)
  t.match(html, 'id="sequences-title">Sequences</h2>')
  t.match(html, `<caption>views of golden row ${number}, for item ${target.item}</caption>`)
})

t.test('of DIN, whose weights are no shares, and of tasks with layers of their own', async (t) => {
  const { sequences } = await judged({}, 'multi_gate')
  const [{ items }] = rowsWithItems(sequences[0]!) as [ReturnType<typeof rowsWithItems>[0]]
  t.equal(sequences[0]!.attention!.kind, 'din')
  const sum = items.reduce((all, { share }) => all + share, 0)
  t.ok(Math.abs(sum - 1) < 1e-6)
  const size = items.reduce((all, { weight }) => all + Math.abs(weight), 0)
  for (const { weight, share } of items) t.ok(Math.abs(Math.abs(weight) / size - share) < 1e-6)
  const heads = [{ name: 'views', attention: 'multi_head', target: ['item'] }]
  const several = await judged({ architecture: { name: 'single_task', dim_emb: 4 }, sequences: heads }, 'single_task')
  for (const { items } of rowsWithItems(several.sequences[0]!))
    t.ok(Math.abs(items.reduce((all, { weight }) => all + weight, 0) - 1) < 1e-5, 'of two tasks and two heads')
})

t.test('of time decay, by which an item counts less the older it is', async (t) => {
  const decay = { name: 'views', attention: 'time_decay', target: ['item'], ages: 'ages', half_lives: [30], heads: 3 }
  const fields = spec.fields.map((field) => (field.name === 'ages' ? { ...field, scaling: 'none' } : field))
  const { sequences } = await judged({ fields, sequences: [decay] })
  const rows = rowsWithItems(sequences[0]!)
  let compared = 0
  for (const { items } of rows)
    for (const { values, weight } of items) {
      t.ok(weight > 0)
      for (const other of items.filter((one) => one.values.viewed === values.viewed && one.values !== values)) {
        const older = Number(other.values.ages) - Number(values.ages)
        t.ok(Math.abs(other.weight / weight - 2 ** (-older / 30)) < 1e-4)
        compared++
      }
    }
  t.ok(rows.length > 0 && compared > 0, `${compared} pairs of one item`)
})

t.test('a version without lists has no such part, and one that pools them no attention', async (t) => {
  const { sequences, html } = await judged({ sequences: [{ name: 'views', attention: 'none' }] })
  t.same(
    sequences.map(({ name, attention }) => [name, attention]),
    [
      ['views', undefined],
      ['tags', undefined],
    ],
  )
  t.notMatch(html, 'of golden row')
})
