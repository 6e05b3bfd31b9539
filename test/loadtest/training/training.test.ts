import t from 'tap'
import { networks, optionsOf } from '../../../loadtest/training/networks.ts'
import { toMarkdown } from '../../../loadtest/training/report.ts'
import { csvOf, specOf } from '../../../loadtest/training/rows.ts'
import { optionProblems } from '../../../src/model/graph/architectures/build.ts'

t.test('a generated file has the columns of its spec, and fewer ids than the table', async (t) => {
  for (const network of Object.values(networks)) {
    const [header, ...lines] = [...csvOf({ ...network, fileRows: 50 })].map((line) => line.trim().split(','))
    const spec = specOf(network, 512) as { fields: { name: string; size?: number }[]; tasks: { name: string }[] }
    t.same(
      header,
      [...spec.fields, ...spec.tasks].map(({ name }) => name),
    )
    const ids = spec.fields.reduce((sum, { size }) => sum + (size === undefined ? 0 : size + 1), 0)
    t.ok(ids <= network.ids && ids > network.ids * 0.97, `${ids}`)
    for (const line of lines)
      spec.fields.forEach(({ size }, i) => {
        if (size !== undefined && !(Number(line[i]) < size)) t.fail(`${line[i]} is no id`)
      })
    t.same(optionProblems(optionsOf(network), { tasks: network.tasks }), [])
  }
})

t.test('a report has medians, and a dash for what was not measured', async (t) => {
  const machine = { date: 'today', processor: 'any', cores: 2, loadBefore: 0, versions: { node: '20' }, settings: {} }
  const cell = { network: 'small', batch: 512, rates: [3000, 1000, 2000] } as const
  const text = toMarkdown({
    machine,
    seconds: 4,
    loads: [0.4, 0.5, 0.6],
    cells: [
      { ...cell, rates: [...cell.rates], program: 'step', processorRates: [5000] },
      { ...cell, rates: [900], program: '`multigate train`', seconds: [3, 1, 2] },
    ],
  })
  t.match(text, '| step | 2,000 (1,000 … 3,000) |')
  t.match(text, '| step | 5,000 (5,000 … 5,000) |')
  t.match(text, '| `multigate train` | – |')
  t.match(text, 'small, batch 512: 2.0 s')
  t.match(text, 'Medians of 3 interleaved rounds')
})
