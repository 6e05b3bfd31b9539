// Prints a CycloneDX bill of materials of what an installation contains, by the lock file.
//   node scripts/sbom.mjs > sbom.cdx.json
//   node scripts/sbom.mjs --onednn=yes > sbom.cdx.json    of one with oneDNN
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { wheel } from './onednn-wheel.mjs'

const root = join(import.meta.dirname, '..')
const description = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const onednn = process.argv.includes('--onednn=yes')
  process.stdout.write(`${JSON.stringify(billOfMaterials({ onednn }), null, 2)}\n`)
}

/** A CycloneDX bill of materials of what an installation contains. Throws an Error where npm fails. */
export function billOfMaterials({ onednn = false } = {}) {
  // `npm sbom --omit dev` leaves out what development packages need too, so it is given a project without those.
  const work = mkdtempSync(join(tmpdir(), 'multigate-sbom-'))
  try {
    const {
      devDependencies = {},
      peerDependencies,
      peerDependenciesMeta,
      overrides,
      scripts,
      workspaces,
      ...installed
    } = description
    writeFileSync(join(work, 'package.json'), JSON.stringify(installed))
    cpSync(join(root, 'package-lock.json'), join(work, 'package-lock.json'))
    npm(work, 'install', '--package-lock-only', '--offline', '--ignore-scripts', '--no-audit', '--no-fund')
    const bill = JSON.parse(npm(work, 'sbom', '--sbom-format=cyclonedx', '--package-lock-only'))
    // npm takes the folder's name.
    bill.metadata.component.name = description.name
    const runtime = devDependencies['onnxruntime-node']
    if (runtime !== undefined)
      addBundled(bill, { type: 'npm', name: 'onnxruntime-node', version: runtime, license: 'MIT' })
    if (onednn) addBundled(bill, { ...wheel, type: 'pypi' })
    return bill
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** A package that package.json does not name among those of an installation: its files are put beside them. */
function addBundled({ metadata, components, dependencies }, { type, name, version, license, digest }) {
  const reference = `${name}@${version}`
  components.push({
    'bom-ref': reference,
    type: 'library',
    name,
    version,
    scope: 'required',
    purl: `pkg:${type}/${reference}`,
    licenses: [{ license: { id: license } }],
    ...(digest && { hashes: [{ alg: 'SHA-256', content: digest }] }),
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
  if (run.status !== 0) throw new Error(`npm ${args[0]} failed: ${run.stderr}`)
  return run.stdout
}
