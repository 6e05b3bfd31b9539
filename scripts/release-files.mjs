// Writes what is published beside a release: notes.md, the section of CHANGELOG.md of the version in package.json, and
// sbom.cdx.json, a CycloneDX bill of materials of what an installation contains.
//   node scripts/release-files.mjs FOLDER
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const folder = process.argv[2]
if (folder === undefined) {
  console.error('usage: node scripts/release-files.mjs FOLDER')
  process.exit(2)
}
const description = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { version } = description
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

function billOfMaterials() {
  // `npm sbom --omit dev` leaves out what development packages need too, so it is given a project without those.
  const work = mkdtempSync(join(tmpdir(), 'multigate-sbom-'))
  try {
    const {
      devDependencies = {},
      peerDependencies,
      peerDependenciesMeta,
      overrides,
      scripts,
      ...installed
    } = description
    writeFileSync(join(work, 'package.json'), JSON.stringify(installed))
    cpSync(join(root, 'package-lock.json'), join(work, 'package-lock.json'))
    npm(work, 'install', '--package-lock-only', '--offline', '--ignore-scripts', '--no-audit', '--no-fund')
    const bill = JSON.parse(npm(work, 'sbom', '--sbom-format=cyclonedx', '--package-lock-only'))
    // npm takes the folder's name.
    bill.metadata.component.name = description.name
    const runtime = devDependencies['onnxruntime-node']
    if (runtime !== undefined) addBundled(bill, 'onnxruntime-node', runtime)
    return bill
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** A development package whose files `npm run build` puts into the package. */
function addBundled({ metadata, components, dependencies }, name, version) {
  const reference = `${name}@${version}`
  components.push({
    'bom-ref': reference,
    type: 'library',
    name,
    version,
    scope: 'required',
    purl: `pkg:npm/${reference}`,
    licenses: [{ license: { id: 'MIT' } }],
  })
  const own = metadata.component['bom-ref']
  dependencies.find(({ ref }) => ref === own)?.dependsOn.push(reference)
  dependencies.push({ ref: reference, dependsOn: [] })
}

function npm(cwd, ...args) {
  const windows = process.platform === 'win32'
  const run = spawnSync(windows ? 'npm.cmd' : 'npm', args, {
    cwd,
    encoding: 'utf8',
    shell: windows,
    maxBuffer: 1 << 26,
  })
  if (run.status !== 0) fail(`npm ${args[0]} failed: ${run.stderr}`)
  return run.stdout
}

function fail(reason) {
  console.error(reason)
  process.exit(1)
}
