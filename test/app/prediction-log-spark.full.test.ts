import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { pythonWith } from '../support/python.ts'

/* The documentation's recipe for pyspark. Its 400 MB and its start are too slow for every run. */

const java = spawnSync('java', ['-version']).status === 0
const python = java
  ? await pythonWith(['pyspark==4.3.0'], { built: ['pyspark'], milliseconds: 600_000 })
  : 'needs Java 17'

t.test('the recipe for pyspark', { skip: typeof python === 'string' && python }, async (t) => {
  if (typeof python === 'string') return
  const docs = await readFile(join(import.meta.dirname, '../../../docs/prediction-log.md'), 'utf8')
  const [, recipe] = /```py\n([\s\S]*?)```/.exec(docs)!
  const root = await temporaryFolder(t)
  const folder = join(root, 'log/ads-funnel/1')
  await mkdir(folder, { recursive: true })
  const candidates = [{ served: { ctr: 0.1 } }, { served: { ctr: 0.3 } }]
  const record = JSON.stringify({ time: '2026-12-02T14:21:16.283Z', candidates })
  await writeFile(join(folder, '20261202T142116283Z-host-1.jsonl'), `${record}\n${record}\n`)
  const printed = await python.run('recipe-spark.py', [root, recipe!])
  t.same(JSON.parse(printed.trim().split('\n').at(-1)!), [['2026-12-02T14', 0.2, 4]])
})
