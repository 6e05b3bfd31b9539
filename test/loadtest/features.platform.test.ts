import { join } from 'node:path'
import t from 'tap'
import { writeCsv, writeParquet } from '../../loadtest/features/ad-files.ts'
import { adOf, keyName, keyOf, listSeparator } from '../../loadtest/features/ads.ts'
import features from '../../loadtest/features/features.ts'
import { describeMachine } from '../../loadtest/machine.ts'
import { cellOf } from '../../src/model/serving/tables/column-readers.ts'
import { openTable } from '../../src/model/serving/tables/open-table.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'

const ads = 3000

t.test('ads are the same in a table, whichever file they come from', async (t) => {
  const folder = await temporaryFolder(t)
  for (const [format, write] of [
    ['csv', writeCsv],
    ['parquet', writeParquet],
  ] as const) {
    const file = join(folder, `ads.${format}`)
    await write(file, ads)
    const models = join(folder, format)
    const lists = format === 'csv' ? ['--list', `tags=${listSeparator}`] : []
    const imported = ['features', 'import', file, '--key', keyName, '--models', models, ...lists]
    t.match(await runCli(imported), { code: 0 })
    const { table, close } = openTable(join(models, '.tables/ads/1'))
    for (let ad = 0; ad < ads; ad++) {
      const row = table.find(keyOf(ad))
      const read = Object.fromEntries([...table.columns].map(([name, column]) => [name, cellOf(column, row)]))
      // In CSV an empty list is no value.
      if (format === 'csv') read.tags ??= []
      const [found, wanted] = [JSON.stringify(read), JSON.stringify(adOf(ad))]
      if (found !== wanted) throw new Error(`ad ${ad} of ${format} is ${found}, not ${wanted}`)
    }
    close()
  }
})

t.test('import, opening, reads and deltas are measured', async (t) => {
  const sizes = ['--rows', '2000', '--reads', '10000', '--served', '2000', '--quiet', '0.2']
  const options = features.read([...sizes, '--beside', 'map'], 'x')
  const machine = await describeMachine(new Date())
  const page = await features.run(options, { machine, log: () => undefined, picture: undefined })
  t.match(page, /2,000 ads with 20 features/)
  for (const row of [/^\| CSV \| .* \|$/m, /^\| Parquet \| .* \|$/m, /^\| feature table \| 2,000 \| .* \|$/m])
    t.match(page, row)
  t.match(page, /^\| Map of objects \| 2,000 \| .* \|$/m)
  for (const row of [/^\| no delta \| .* \|$/m, /^\| delta 3: until it is in effect \| .* \|$/m]) t.match(page, row)
  t.match(page, /^\d+ ms until 100 keys are answered from/m)
})
