import { spawnSync } from 'node:child_process'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { architectureNames } from '../../src/model/graph/architectures/table.ts'
import { Configuration } from '../../src/schemas/configuration.ts'
import { TrainSpec } from '../../src/schemas/train-spec.ts'

/** Root of the project: this file runs from build/test/tooling. */
const root = fileURLToPath(new URL('../../../', import.meta.url))
const script = 'scripts/schema-tables.mjs'
const run = (folder: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(folder, script), ...args], { encoding: 'utf8' })

t.test('the tables of the documentation are up to date', async (t) => {
  const { status, stderr } = run(root, '--check')
  t.equal(stderr, '')
  t.equal(status, 0)
  const text = await readFile(join(root, 'docs/configuration.md'), 'utf8')
  for (const name of Object.keys(Configuration.properties)) t.match(text, new RegExp(`^\\| \`${name}\` \\| `, 'm'))
  const spec = await readFile(join(root, 'docs/spec.md'), 'utf8')
  for (const name of Object.keys(TrainSpec.properties)) t.match(spec, new RegExp(`^\\| \`${name}\` \\| `, 'm'))
  for (const name of architectureNames) t.match(spec, `\n\`name: ${name}\`: `)
})

t.test('a table that is out of date is noticed, and written', async (t) => {
  const folder = t.testdir({ 'package.json': '{"type": "module"}', scripts: {}, docs: {} })
  for (const file of [script, 'scripts/generated.mjs']) await cp(join(root, file), join(folder, file))
  await mkdir(join(folder, 'build/src/schemas'), { recursive: true })
  const schema = {
    properties: { MULTIGATE_X: { type: 'integer', minimum: 1, maximum: 9, default: 3, description: 'A | B' } },
  }
  await writeFile(
    join(folder, 'build/src/schemas/configuration.js'),
    `export const Configuration = ${JSON.stringify(schema)}`,
  )
  const page = join(folder, 'docs/configuration.md')
  await writeFile(
    join(folder, 'build/src/schemas/train-spec.js'),
    `export const TrainSpec = ${JSON.stringify({ properties: { name: { type: 'string' } }, required: ['name'] })}`,
  )
  await mkdir(join(folder, 'build/src/model/graph/architectures'), { recursive: true })
  await writeFile(
    join(folder, 'build/src/model/graph/architectures/table.js'),
    'export const withArchitectures = (schema) => schema',
  )
  await writeFile(join(folder, 'docs/spec.md'), '<!-- spec -->\n<!-- /spec -->\n')
  await writeFile(page, 'before\n<!-- configuration -->\nold\n<!-- /configuration -->\nafter\n')
  t.equal(run(folder, '--check').status, 1)
  t.match(await readFile(page, 'utf8'), /old/)
  t.equal(run(folder).status, 0)
  t.equal(
    await readFile(page, 'utf8'),
    'before\n<!-- configuration -->\n| variable | values | default | meaning |\n| --- | --- | --- | --- |\n' +
      '| `MULTIGATE_X` | 1 … 9 | `3` | A \\| B |\n<!-- /configuration -->\nafter\n',
  )
  t.match(await readFile(join(folder, 'docs/spec.md'), 'utf8'), '| `name` | text | required | |')
  t.equal(run(folder, '--check').status, 0)
  await writeFile(page, 'no markers')
  t.equal(run(folder).status, 1)
})
