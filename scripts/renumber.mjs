// Gives the version in a folder another number, and its folder too, which replaces a version that is there.
//   node scripts/renumber.mjs models/ads-history/2 1
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder, version] = process.argv.slice(2)
if (folder === undefined || !/^[1-9]\d*$/.test(version))
  throw new Error('usage: node scripts/renumber.mjs <folder> <version>')
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'))
const write = (name, value, space) => writeFileSync(join(folder, name), `${JSON.stringify(value, null, space)}\n`)

const manifest = read('manifest.json')
const report = read('evaluation.json')
write('evaluation.json', { ...report, model: { ...report.model, version } })
const digest = createHash('sha256')
  .update(readFileSync(join(folder, 'evaluation.json')))
  .digest('hex')
write('manifest.json', { ...manifest, version, files: { ...manifest.files, 'evaluation.json': digest } }, 2)
const to = join(folder, '..', version)
rmSync(to, { recursive: true, force: true })
renameSync(folder, to)
