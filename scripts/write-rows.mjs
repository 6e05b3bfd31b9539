// Writes the rows of a spec as JSON, one object per line, as they are: before encoding, and not yet split.
//   node scripts/write-rows.mjs ads-history > rows.jsonl          a spec of src/tools/train/specs, or a path
//   node scripts/write-rows.mjs ads-history --rows 1000           the first ones
// Reads the compiled project: run npm run setup -- --modules first.
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openSource } from '../build/src/tools/data/dataset.js'
import { readRowsSpec } from '../build/src/tools/data/read-spec.js'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { rows: { type: 'string' } } })
const [name] = positionals
if (positionals.length !== 1) throw new Error('usage: node scripts/write-rows.mjs <spec> [--rows <number>]')
const { file, spec } = await readRowsSpec(name, join(import.meta.dirname, '../src/tools/train/specs'))
const source = await openSource(spec.data, file)
let left = Number(values.rows ?? Number.POSITIVE_INFINITY)
for await (const row of source.rows()) {
  if (left-- <= 0) break
  const object = Object.fromEntries(source.columns.map(({ name }, i) => [name, row[i]]))
  if (!process.stdout.write(`${JSON.stringify(object)}\n`)) await once(process.stdout, 'drain')
}
