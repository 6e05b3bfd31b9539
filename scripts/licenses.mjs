// Checks the licences of all packages that an installation of multigate contains, and lists them in docs/licenses.md.
//   node scripts/licenses.mjs            writes the list
//   node scripts/licenses.mjs --check    writes nothing; ends with 1 where the list is out of date
// Ends with 1 for a licence that is not allowed, and where NOTICE names another release of ONNX Runtime than is
// bundled.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { init } from 'license-checker-rseidelsohn'
import satisfies from 'spdx-satisfies'
import { writeGenerated } from './generated.mjs'

const root = join(import.meta.dirname, '..')

// Licences without obligations beyond attribution, by their SPDX identifiers.
const allowed = ['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Unlicense']

const problems = []
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const found = await promisify(init)({ start: root, production: true, nopeer: true })
const licenses = new Map()
for (const [id, { licenses: license, repository = '' }] of Object.entries(found)) {
  const name = id.slice(0, id.lastIndexOf('@'))
  if (name === own.name) continue
  const expression = String(license)
  if (!isAllowed(expression)) problems.push(`${id}: the licence ${expression} is not among ${allowed.join(', ')}`)
  licenses.set(name, [name, expression.replace(/^\((.*)\)$/, '$1'), repository === '' ? '—' : `<${repository}>`])
}
if (licenses.size === 0) problems.push('no package was found: run npm ci')

const page = `# Licences of dependencies

multigate is licensed under Apache-2.0. [NOTICE](../NOTICE) names what the package itself contains of others. npm installs
the packages below with it, and the container image contains them, each with its own licence file. \`npm run licenses\`
writes this page and refuses a licence that is not one of
${allowed.map((id) => `\`${id}\``).join(', ')}.

| package | licence | source |
| --- | --- | --- |
${[...licenses.values()]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map((cells) => `| ${cells.join(' | ')} |`)
  .join('\n')}
`
writeGenerated('docs/licenses.md', page, 'npm run licenses')

const runtime = `ONNX Runtime ${own.devDependencies['onnxruntime-node']}`
if (!readFileSync(join(root, 'NOTICE'), 'utf8').includes(runtime))
  problems.push(
    `NOTICE does not name ${runtime}: take scripts/onnxruntime-notices.txt from that release, then change it`,
  )

for (const problem of problems) console.error(problem)
if (problems.length === 0) console.log(`${licenses.size} packages, all under allowed licences`)
else process.exitCode = 1

function isAllowed(expression) {
  try {
    return satisfies(expression, allowed)
  } catch {
    // Not an SPDX expression: a guess from the text, or none at all.
    return false
  }
}
