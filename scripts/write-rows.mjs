// Writes the rows of a spec as JSON, one object per line, as they are: before encoding, and not yet split.
//   node scripts/write-rows.mjs ads-history > rows.jsonl          a spec of src/tools/train/specs, or a path
//   node scripts/write-rows.mjs ads-history --rows 1000           the first ones
//   node scripts/write-rows.mjs movielens --parts                 each with its `part`: train, validation, test or null
// Reads the compiled project: run npm run setup -- --modules first.
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readDataset } from '../build/src/tools/data/dataset.js'
import { openSource } from '../build/src/tools/data/open-source.js'
import { readRowsSpec } from '../build/src/tools/data/read-spec.js'

const options = { rows: { type: 'string' }, parts: { type: 'boolean', default: false } }
const { values, positionals } = parseArgs({ allowPositionals: true, options })
const [name] = positionals
if (positionals.length !== 1) throw new Error('usage: node scripts/write-rows.mjs <spec> [--rows <number>] [--parts]')
const loaded = await readRowsSpec(name, join(import.meta.dirname, '../src/tools/train/specs'))
const { file, spec } = loaded
const partOf = values.parts ? await partsOfRows(loaded) : undefined
const source = await openSource(spec.data, file)
const most = Number(values.rows ?? Number.POSITIVE_INFINITY)
let index = 0
for await (const row of source.rows()) {
  if (index >= most) break
  const object = Object.fromEntries(source.columns.map(({ name }, i) => [name, row[i]]))
  if (partOf) object.part = partOf[index] ?? null
  index++
  if (!process.stdout.write(`${JSON.stringify(object)}\n`)) await once(process.stdout, 'drain')
}

/** Per row, the part that the spec's split puts it in. */
async function partsOfRows({ file, spec }) {
  const { parts } = await readDataset({ file, spec: { ...spec, history: undefined } }, [])
  const names = []
  for (const [name, rows] of Object.entries(parts)) for (const row of rows) names[row] = name
  return names
}
