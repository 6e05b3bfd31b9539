import { HtmlValidate } from 'html-validate'
import t from 'tap'
import { check } from '../../../../src/schemas/check.ts'
import { type Estimate, metricNames } from '../../../../src/schemas/comparison.ts'
import { EvaluationReport } from '../../../../src/schemas/evaluation.ts'
import type { ProblemItem } from '../../../../src/schemas/problem.ts'
import { renderReport } from '../../../../src/tools/evaluate/report/render-report.ts'
import {
  evaluationReport,
  hostileReport,
  hostileTexts,
  minimalReport,
  reportWithoutPositives,
} from '../../../support/evaluation-report.ts'

const reports = {
  evaluationReport: evaluationReport(),
  minimalReport: minimalReport(),
  reportWithoutPositives: reportWithoutPositives(),
  hostileReport: hostileReport(),
}
type Name = keyof typeof reports
/** Each report is rendered once, since its charts take most of the time. */
const pages = {} as Record<Name, string>
for (const name of Object.keys(reports) as Name[]) pages[name] = await renderReport(reports[name])
const validator = new HtmlValidate({
  extends: ['html-validate:recommended'],
  rules: {
    // Widths of bars and shades are data.
    'no-inline-style': 'off',
    // Names of models may be long.
    'long-title': 'off',
    // Groups of a table scroll: there is no element of that kind.
    'prefer-native-element': 'off',
    // `+.0031`, `8,000 … 9,000` and names are not telephone numbers.
    'tel-non-breaking': 'off',
    'no-trailing-whitespace': 'off',
  },
})

const forbidden = [
  'script',
  'img',
  'link',
  'iframe',
  'object',
  'embed',
  'form',
  'base',
  'image',
  'use',
  'foreignObject',
]

/** Those that the report needs: none runs code or loads anything; `href` is checked by the links of the contents. */
const attributes = new Set(
  [
    'lang charset name content http-equiv id class style href scope role tabindex title aria-label aria-labelledby',
    'width height viewBox d x y x1 x2 y1 y2 cx cy r transform fill fill-opacity stroke stroke-width stroke-dasharray',
    'stroke-miterlimit stroke-opacity text-anchor font-size font-weight opacity display',
  ].flatMap((names) => names.split(' ')),
)

function attributesOf(html: string): Set<string> {
  const tags = html.match(/<[a-z][^>]*>/gi) ?? []
  return new Set(tags.flatMap((tag) => tag.replaceAll(/"[^"]*"/g, '').match(/(?<=\s)[a-z][\w:-]*/gi) ?? []))
}

/** Text that a reader sees, in one line. */
function textOf(html: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', '#39': "'", amp: '&' }
  return html
    .slice(html.indexOf('<body>'))
    .replaceAll('<wbr>', '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&(lt|gt|quot|#39|amp);/g, (_, entity: string) => entities[entity]!)
    .replaceAll(/\s+/g, ' ')
}

const headingsOf = (html: string) => [...html.matchAll(/<h2 id="([^"]*)/g)].map(([, id]) => id)
const linksOf = (html: string) => [...html.matchAll(/<a href="#([^"]*)"/g)].map(([, id]) => id)

for (const name of Object.keys(reports) as Name[])
  t.test(`${name}: valid, by itself, without scripts`, async (t) => {
    const problems: ProblemItem[] = []
    check(EvaluationReport, reports[name], '', problems)
    t.same(problems, [], 'the fixture is a report')
    const html = pages[name]
    const { results } = await validator.validateString(html)
    t.same(
      results.flatMap(({ messages }) => messages.map(({ ruleId, message, line }) => `${line} ${ruleId} ${message}`)),
      [],
    )
    t.ok(
      html.includes(
        `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
      ),
    )
    t.same(
      forbidden.filter((element) => new RegExp(`<${element}\\b`, 'i').test(html)),
      [],
    )
    t.same(
      [...attributesOf(html)].filter((attribute) => !attributes.has(attribute)),
      [],
    )
    for (const reference of [/https?:\/\//, /url\(/, /@import/, />\s*undefined\b|NaN|\[object|="undefined/])
      t.notOk(reference.test(html), String(reference))
    t.same(
      linksOf(html).map((id) => `${id}-title`),
      headingsOf(html).filter((id) => id?.endsWith('-title')),
      'the contents list the sections that are there',
    )
  })

t.test('sections stand in their order; absent parts leave nothing behind', async (t) => {
  t.same(linksOf(pages.evaluationReport), [
    'summary',
    'comparison',
    'publish',
    'tasks',
    'slices',
    'gates',
    'precisions',
    'drift',
    'history',
    'fields',
    'card',
  ])
  t.same(linksOf(pages.minimalReport), ['summary', 'tasks', 'card'])
  t.same(linksOf(await renderReport({ ...reports.minimalReport, tasks: [] })), ['card'])
  const text = textOf(pages.minimalReport)
  t.notMatch(text, /warning|GAUC|[Oo]racle|logistic|before calibration|How it was made|PSI/)
})

t.test('every number of the summary is there', async (t) => {
  const report = reports.evaluationReport
  const text = textOf(pages.evaluationReport)
  const plain = (value: number, digits: number) => value.toFixed(digits).replace(/^0\./, '.')
  const expected = ({ value, low, high }: Estimate, digits: number) =>
    `${plain(value!, digits)} (${plain(low!, digits)} … ${plain(high!, digits)})`
  const digits = { auc: 4, logloss: 5, normalised_entropy: 4, calibration_ratio: 3, ece: 5 }
  for (const task of report.tasks) {
    t.match(text, task.rows.toLocaleString('en'))
    t.match(text, ` ${task.positives} `)
    for (const metric of metricNames) {
      t.match(text, expected(task.metrics[metric], digits[metric]), `${task.name} ${metric}`)
      t.match(
        text,
        expected(task.baselines.logistic!.metrics[metric], digits[metric]),
        `${task.name} baseline ${metric}`,
      )
    }
    t.match(text, plain(task.baselines.base_rate.logloss!, 5))
    t.match(text, plain(task.oracle!.auc!, 4))
    t.match(text, plain(task.oracle!.logloss!, 5))
    t.match(text, plain(task.oracle!.normalised_entropy!, 4))
    for (const part of ['by_rows', 'by_positives', 'equally'] as const)
      t.match(text, expected(task.gauc![part], 4), `${task.name} ${part}`)
  }
  t.match(text, / 5\.53 % /, 'a base rate')
})

t.test('all slices, fields and drifts are there', async (t) => {
  const report = reports.evaluationReport
  const html = pages.evaluationReport
  const rows = [...html.matchAll(/<th scope="row"/g)].length
  const { tasks, comparison, publish, gates, int8_check, bfloat16_check, drift, model } = report
  const expected =
    tasks.length * (4 + 1 + 40) +
    comparison!.tasks.length * (6 + 1) +
    publish!.conditions.length +
    gates!.tasks.length +
    gates!.slices.length +
    int8_check!.tasks.length +
    bfloat16_check!.tasks.length +
    drift!.length +
    model.fields.length
  t.equal(rows, expected)
  t.equal([...html.matchAll(/<summary>25 more</g)].length, 3)
  const psis = [...drift!].sort((a, b) => b.psi - a.psi).map(({ name }) => name)
  const table = html.slice(html.indexOf('<caption>Population stability index'))
  t.match(
    textOf(`<body>${table}`),
    new RegExp(`^ *Population stability index Name Kind PSI Change ${psis[0]} .* ${psis[1]} `),
  )
})

t.test('precisions are compared with float32', async (t) => {
  const text = textOf(pages.evaluationReport)
  t.match(text, '✗ int8 fails on 2,048 rows. ctr: mean_change is 0.0031, and the limit 0.002 cvr: ')
  t.match(text, '✓ bfloat16 passes on 2,048 rows. bfloat16 and float32 Task')
  t.match(text, 'ctr −.000030 0.310 % .0400 .1100 cvr – 0.620 %')
  t.match(
    text,
    'AUC falls by at most .0001, the mean prediction changes by at most 0.2 %, and 99 of 100 logits differ by at most .05.',
  )
})

t.test('text from the report is escaped, whatever it contains', async (t) => {
  const html = pages.hostileReport
  const text = textOf(html)
  for (const hostile of hostileTexts.slice(0, 9)) t.ok(text.includes(hostile), hostile.slice(0, 40))
  t.ok(text.includes('nul \ufffd, bell \ufffd, half \ufffd, line feed'))
  t.equal([...html.matchAll(/<\/style>/g)].length, 1)
  t.equal([...html.matchAll(/<\/title>/g)].length, 1)
  const charts = [...html.matchAll(/<svg[\s\S]*?<\/svg>/g)].map(([svg]) => svg)
  t.ok(
    charts.some((svg) => svg.includes('&lt;script&gt;')),
    'charts show names too',
  )
  for (const svg of charts) t.match(svg, /^<svg role="img" aria-label="[^"<>]+"/)
})

t.test('a task without positives is reported, not broken', async (t) => {
  const text = textOf(pages.reportWithoutPositives)
  t.match(text, 'click : cannot be judged: no row is positive')
  t.match(text, ' – ')
  t.match(text, '.00312 (.00290 … .00330)')
  t.notMatch(text, 'ROC of')
  t.notMatch(text, 'positive rows', 'there are none in the histogram')
})

t.test('parts may be almost empty', async (t) => {
  const report = reports.evaluationReport
  const [task] = report.tasks
  const html = await renderReport({
    ...report,
    tasks: [
      {
        ...task!,
        roc: { fpr: [], tpr: [] },
        reliability: { served: [] },
        histogram: { edges: [], negatives: [], positives: [] },
        ece_measured: 0,
        ece_perfect: { low: 0, high: 0 },
        slices: task!.slices.slice(0, 1),
      },
      { ...task!, name: 'constant', histogram: { edges: [0, 0.5, 1], negatives: [1, 0], positives: [0, 1] } },
    ],
    comparison: { ...report.comparison!, tasks: [], reasons: [] },
    publish: { passed: true, conditions: [] },
    drift: [{ kind: 'feature', name: 'empty', psi: 0, bins: [], reference: [], rows: [] }],
    gates: { experts: 1, rows: 0, tasks: [{ task: 'ctr', weights: [1] }], slices: [] },
    history: [{ epoch: 1, loss: 0.5, validation_loss: null, auc: { ctr: null, cvr: 0.5 } }],
  })
  for (const broken of ['NaN', 'Infinity', '="undefined']) t.notOk(html.includes(broken), broken)
  t.notOk(/<(?:tbody|div[^>]*|ul|dl[^>]*)>\s*<\//.test(html), 'nothing is empty')
  t.same(linksOf(html), ['summary', 'tasks', 'slices', 'gates', 'precisions', 'drift', 'history', 'fields', 'card'])
  t.match(textOf(html), 'No validation loss was recorded.')
})
