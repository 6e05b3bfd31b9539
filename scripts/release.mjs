// Prepares a release as one commit: the version in package.json and package-lock.json, the heading in CHANGELOG.md, and
// the texts that name the version or call it the next release; writes release notes and a bill of materials into
// release/, which git ignores.
//   npm run release -- major|minor|patch|1.2.3 [--dry-run] [--tag]
// --dry-run changes nothing and says what would be done.  Without --tag no tag is made; a pushed tag `v1.2.3`
// publishes.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repositoryOf } from './repository.mjs'

process.chdir(join(import.meta.dirname, '..'))

const { values, positionals } = options()
const description = JSON.parse(readFileSync('package.json', 'utf8'))
const current = description.version
const version = next(current, positionals[0])

if (git('status', '--porcelain') !== '') fail('The working tree has changes: commit them first')
if (spawnSync('git', ['rev-parse', '-q', '--verify', `refs/tags/v${version}`]).status === 0)
  fail(`The tag v${version} exists already`)
const changelog = readFileSync('CHANGELOG.md', 'utf8')
const unreleased = '\n## [Unreleased]\n'
const start = changelog.indexOf(unreleased) + unreleased.length
if (start < unreleased.length) fail('CHANGELOG.md has no section "## [Unreleased]"')
if (changelog.slice(start).split('\n## [')[0].trim() === '') fail('The section "Unreleased" of CHANGELOG.md is empty')

const day = new Date().toISOString().slice(0, 10)
const files = naming(current)
console.log(
  `${current} → ${version}: package.json, package-lock.json, CHANGELOG.md${files.map((file) => `, ${file}`).join('')}`,
)
if (!repositoryOf(description).isPublic)
  console.warn('package.json names no public repository yet: set repository.url before you publish (CONTRIBUTING.md)')
if (values['dry-run']) process.exit(0)

npm('version', version, '--no-git-tag-version', '--ignore-scripts')
writeFileSync('CHANGELOG.md', `${changelog.slice(0, start)}\n## [${version}] - ${day}\n${changelog.slice(start)}`)
for (const file of files) {
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    names(current).reduce((all, name, i) => all.replaceAll(name, names(version)[i]), text),
  )
}
execFileSync(process.execPath, ['scripts/release-files.mjs', 'release'], { stdio: 'inherit' })
git('commit', '--quiet', '-a', '-m', `build: release ${version}`, '-m', 'CHANGELOG.md says what changes for users.')
if (values.tag) git('tag', '-a', `v${version}`, '-m', `multigate ${version}`)
console.log(
  `committed; ${values.tag ? `tagged v${version}: push it to publish` : `tag it with git tag -a v${version}`}`,
)

function options() {
  const usage = 'usage: npm run release -- major|minor|patch|1.2.3 [--dry-run] [--tag]'
  try {
    const given = parseArgs({
      options: { 'dry-run': { type: 'boolean' }, tag: { type: 'boolean' } },
      allowPositionals: true,
    })
    if (given.positionals.length === 1) return given
  } catch {
    // An option that does not exist.
  }
  console.error(usage)
  process.exit(2)
}

function next(from, wanted) {
  const parts = from.split('.').map(Number)
  const at = ['major', 'minor', 'patch'].indexOf(wanted)
  if (at >= 0) return parts.map((part, i) => (i < at ? part : i === at ? part + 1 : 0)).join('.')
  if (!/^\d+\.\d+\.\d+$/.test(wanted)) fail(`${wanted} is neither major, minor, patch nor a version`)
  const to = wanted.split('.').map(Number)
  const first = to.findIndex((part, i) => part !== parts[i])
  if (first < 0 || to[first] < parts[first]) fail(`${wanted} does not follow ${from}`)
  return wanted
}

/**
 * How texts name a version: the tarball, the version in use, the image, the chart, and the heading of
 * docs/upgrading.md.
 */
function names(of) {
  return [
    `multigate-${of}.tgz`,
    `multigate ${of},`,
    `multigate:${of}`,
    `version: ${of}`,
    `appVersion: ${of}`,
    of === current ? `## From ${short(of)} to the next release` : `## From ${short(current)} to ${short(of)}`,
  ]
}

/** 0.3 for 0.3.0. */
function short(of) {
  return of.replace(/\.0$/, '')
}

/** Files that name the version, other than measurements and history. */
function naming(of) {
  const patterns = names(of).flatMap((name) => ['-e', name])
  const paths = ['*.md', '*.yml', 'deploy/*.yaml', ':!loadtest', ':!docs/results.md', ':!CHANGELOG.md']
  const found = spawnSync('git', ['grep', '-lF', ...patterns, '--', ...paths], { encoding: 'utf8' })
  return found.stdout.split('\n').filter(Boolean)
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8' }).trim()
}

function npm(...args) {
  const windows = process.platform === 'win32'
  execFileSync(windows ? 'npm.cmd' : 'npm', args, { stdio: ['ignore', 'ignore', 'inherit'], shell: windows })
}

function fail(reason) {
  console.error(reason)
  process.exit(1)
}
