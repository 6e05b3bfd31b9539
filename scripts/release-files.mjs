// Writes what is published beside a release: notes.md, the section of CHANGELOG.md of the version in package.json, and
// sbom.cdx.json, a CycloneDX bill of materials of what an installation contains.
//   node scripts/release-files.mjs FOLDER
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { billOfMaterials } from './sbom.mjs'

const root = join(import.meta.dirname, '..')
const folder = process.argv[2]
if (folder === undefined) {
  console.error('usage: node scripts/release-files.mjs FOLDER')
  process.exit(2)
}
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'notes.md'), notes())
writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(), null, 2)}\n`)
console.log(`${folder}: notes.md and sbom.cdx.json of ${version}`)

function notes() {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  const start = changelog.indexOf(`\n## [${version}]`)
  if (start < 0) fail(`CHANGELOG.md has no section of ${version}`)
  const body = changelog.slice(changelog.indexOf('\n', start + 1) + 1)
  return `${body.split(/\n## \[/)[0].trim()}\n`
}

function fail(reason) {
  console.error(reason)
  process.exit(1)
}
