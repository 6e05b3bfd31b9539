// Writes the parts of the Helm chart that follow from the rest of the repository: values.schema.json, the versions and
// addresses in Chart.yaml, and its copies of deploy/prometheus and deploy/grafana. Helm reads no files outside the
// chart.
//   node scripts/chart-files.mjs            writes
//   node scripts/chart-files.mjs --check    writes nothing; ends with 1 where a file is out of date
// Reads the compiled configuration: run npm run setup -- --modules first.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { filesBelow } from './files.mjs'
import { writeGenerated } from './generated.mjs'
import { repositoryOf } from './repository.mjs'
import { settingsSchema, valuesSchema } from './values-schema.mjs'

const root = join(import.meta.dirname, '..')
const chart = 'deploy/helm/multigate'

const { Configuration } = await import(join(root, 'build/src/schemas/configuration.js'))
const { words } = await import(join(root, 'build/src/base/configuration.js'))
const { settingName } = await import(join(root, 'build/src/base/settings.js'))
const description = JSON.parse(read('package.json'))

const wanted = new Map([
  ['Chart.yaml', describeChart(read(`${chart}/Chart.yaml`), description)],
  [
    'values.schema.json',
    `${JSON.stringify(valuesSchema(settingsSchema(Configuration, settingName, words)), undefined, 2)}\n`,
  ],
])
for (const [folder, extension] of [
  ['prometheus', '.yaml'],
  ['grafana', '.json'],
])
  for (const file of readdirSync(join(root, 'deploy', folder)))
    if (file.endsWith(extension) && !file.endsWith('.test.yaml'))
      wanted.set(`files/${folder}/${file}`, read(`deploy/${folder}/${file}`))

const copies = filesBelow(join(root, chart, 'files')).map((file) => relative(join(root, chart), file))
for (const path of new Set([...wanted.keys(), ...copies]))
  writeGenerated(`${chart}/${path}`, wanted.get(path), 'node scripts/chart-files.mjs')

function describeChart(text, { version, ...description }) {
  const { page, homepage } = repositoryOf(description)
  return text
    .replaceAll(/^((?:appV|v)ersion:) .*$/gm, `$1 ${version}`)
    .replace(/^home: .*$/m, `home: ${homepage}`)
    .replace(/^sources: .*$/m, `sources: [${page}]`)
}

function read(path) {
  return readFileSync(join(root, path), 'utf8')
}
