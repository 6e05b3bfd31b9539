import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { serve } from '../../src/app/listen.ts'
import { readConfiguration } from '../../src/base/configuration.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { pythonWith } from '../support/python.ts'

const python = await pythonWith(['duckdb==2.0.1', 'pandas==3.1.1', 'pyarrow==26.0.1'])
const docs = await readFile(join(import.meta.dirname, '../../../docs/prediction-log.md'), 'utf8')
const block = (language: string) => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(docs)![1]!

t.test(
  'the recipes of the documentation run, and others read the same from Parquet',
  { skip: typeof python === 'string' && python },
  async (t) => {
    const [root, models] = [await temporaryFolder(t), await temporaryFolder(t)]
    const [folder, columns] = [join(root, 'log'), join(root, 'columns')]
    await writeTestBundle(models, { name: 'ads-funnel' })
    const { url, close, loaded } = await serve({
      ...readConfiguration({}, {}).configuration,
      ...{ MULTIGATE_PORT: 0, MULTIGATE_MODELS: models, MULTIGATE_DEFAULT_MODEL: 'ads-funnel', MULTIGATE_WORKERS: 1 },
      ...{ MULTIGATE_DRAIN_DELAY_MS: 0, MULTIGATE_WARM_UP_MS: 0, MULTIGATE_LOG_LEVEL: 'silent' as never },
      ...{ MULTIGATE_PREDICTION_LOG: folder },
    })
    await loaded
    const candidates = [
      { id: 'a', campaign: 'c9', price: 1.25, bid: 1 },
      { id: 'b', campaign: 'é\u{1f600}"\0', price: 1e-7, bid: 30 },
      // Lone surrogates, and the first and last characters of each length in UTF-8.
      { id: '\udfff\\ud800', campaign: 'a\ud800\ue000', price: 1, bid: 1 },
      {
        id: 'c',
        campaign: '\x7f\x80\u07ff\u0800\u2028\ud7ff\ue000\ufdd0\ufeff\ufffe\uffff\u{10000}\u{10ffff}',
        price: 1,
        bid: 1,
      },
    ]
    for (let i = 0; i < 20; i++) {
      const options = i % 2 ? { rank: { by: 'ecpm' } } : {}
      const body = JSON.stringify({ context: { country: 'DE', hour: i }, candidates, options })
      const answer = await fetch(`${url}/predict`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body },
      })
      t.equal(answer.status, 200)
    }
    await close()
    t.equal((await runCli(['log', 'convert', folder, '--to', columns])).code, 0)
    if (typeof python === 'string') return
    const printed = await python.run('prediction-log.py', [folder, columns, block('sql'), block('python')])
    const { compared, hours, pandas } = JSON.parse(printed) as { compared: number; hours: number[][]; pandas: number }
    t.equal(compared, 20)
    t.equal(pandas, 80)
    // The test may run while an hour ends.
    t.equal(
      hours.reduce((sum, [, rows]) => sum + rows!, 0),
      80,
    )
    t.ok(hours.every(([ctr]) => ctr! > 0 && ctr! < 1))
  },
)
