import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

const root = join(import.meta.dirname, '../../..')

const changelog = `# Changelog

## [Unreleased]

### Added

- A thing.

## [0.1.0] - 2026-01-02

### Added

- The first one.
`

/** A repository with one commit, around the real scripts. */
function repository(t: Test, log = changelog) {
  const repository = { type: 'git', url: 'git+https://multigate.example/multigate.git' }
  const description = { name: 'multigate', version: '0.1.0', license: 'Apache-2.0', repository }
  const folder = t.testdir({
    scripts: {},
    'package.json': JSON.stringify({ ...description, devDependencies: { 'onnxruntime-node': '1.2.3' } }),
    'package-lock.json': JSON.stringify({
      ...description,
      lockfileVersion: 3,
      requires: true,
      packages: { '': description },
    }),
    'CHANGELOG.md': log,
    'README.md': 'npm install ./multigate-0.1.0.tgz, or ./other-0.1.0.tgz\n',
    docs: {
      'results.md': '- multigate 0.1.0, Node.js 20.20.2\n',
      'upgrading.md': '## From 0.1 to the next release\n\n## From 0.0.9 to 0.1\n',
    },
    deploy: { 'Chart.yaml': 'name: multigate\nversion: 0.1.0\nappVersion: 0.1.0\nkubeVersion: ">=0.1.0"\n' },
    '.gitignore': '/release/\n',
  })
  for (const name of ['release.mjs', 'release-files.mjs', 'repository.mjs', 'sbom.mjs', 'onednn-wheel.mjs'])
    copyFileSync(join(root, 'scripts', name), join(folder, 'scripts', name))
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
  for (const who of ['AUTHOR', 'COMMITTER'])
    Object.assign(env, { [`GIT_${who}_NAME`]: 'nobody', [`GIT_${who}_EMAIL`]: 'nobody@example.org' })
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, env, encoding: 'utf8' }).trim()
  git('init', '--quiet')
  git('add', '--all')
  git('commit', '--quiet', '-m', 'first')
  return {
    folder,
    git,
    read: (file: string) => readFileSync(join(folder, file), 'utf8'),
    release: (...args: string[]) =>
      spawnSync(process.execPath, ['scripts/release.mjs', ...args], { cwd: folder, env, encoding: 'utf8' }),
  }
}

test('a release is one commit, with its notes and bill of materials', async (t) => {
  const { git, read, release } = repository(t)
  const run = release('minor', '--tag')
  t.equal(run.status, 0, run.stderr)
  t.equal(git('status', '--porcelain'), '')
  t.equal(git('log', '--format=%B', '-1'), 'build: release 0.2.0\n\nCHANGELOG.md says what changes for users.')
  t.equal(git('tag', '--list'), 'v0.2.0')
  t.equal(JSON.parse(read('package.json')).version, '0.2.0')
  const lock = JSON.parse(read('package-lock.json'))
  t.same([lock.version, lock.packages[''].version], ['0.2.0', '0.2.0'])
  t.match(
    read('CHANGELOG.md'),
    /## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- A thing\.\n\n## \[0\.1\.0\]/,
  )
  t.equal(read('README.md'), 'npm install ./multigate-0.2.0.tgz, or ./other-0.1.0.tgz\n')
  t.equal(read('docs/upgrading.md'), '## From 0.1 to 0.2\n\n## From 0.0.9 to 0.1\n')
  t.equal(read('docs/results.md'), '- multigate 0.1.0, Node.js 20.20.2\n', 'what was measured stays')
  t.match(read('deploy/Chart.yaml'), '\nversion: 0.2.0\nappVersion: 0.2.0\nkubeVersion: ">=0.1.0"\n')
  t.equal(read('release/notes.md'), '### Added\n\n- A thing.\n')
  t.match(JSON.parse(read('release/sbom.cdx.json')), {
    bomFormat: 'CycloneDX',
    metadata: { component: { name: 'multigate', version: '0.2.0' } },
    components: [{ name: 'onnxruntime-node', version: '1.2.3' }],
  })
  t.match(release('patch'), { status: 1, stderr: /"Unreleased" of CHANGELOG.md is empty/ })
})

test('without --tag there is none, and a dry run changes nothing', async (t) => {
  const { folder, git, release } = repository(t)
  const before = git('rev-parse', 'HEAD')
  t.match(release('0.3.1', '--dry-run', '--tag'), {
    status: 0,
    stderr: /no public repository yet/,
    stdout:
      '0.1.0 → 0.3.1: package.json, package-lock.json, CHANGELOG.md, README.md, deploy/Chart.yaml, docs/upgrading.md\n',
  })
  t.same([git('rev-parse', 'HEAD'), git('status', '--porcelain'), git('tag', '--list')], [before, '', ''])
  t.notOk(existsSync(join(folder, 'release')))
  t.match(release('patch'), { status: 0, stdout: /git tag -a v0\.1\.1/ })
  t.equal(git('tag', '--list'), '')
})

test('what would make a wrong release is refused', async (t) => {
  const { folder, git, release } = repository(t)
  t.match(release(), { status: 2, stderr: /^usage/ })
  t.match(release('minor', '--push'), { status: 2, stderr: /^usage/ })
  t.match(release('next'), { status: 1, stderr: /neither major, minor, patch nor a version/ })
  for (const version of ['0.1.0', '0.0.9']) t.match(release(version), { status: 1, stderr: /does not follow 0\.1\.0/ })
  git('tag', 'v0.2.0')
  t.match(release('minor'), { status: 1, stderr: /v0\.2\.0 exists already/ })
  writeFileSync(join(folder, 'new'), '')
  t.match(release('patch'), { status: 1, stderr: /working tree has changes/ })
  t.match(repository(t, '# Changelog\n').release('patch'), { status: 1, stderr: /no section/ })
})
