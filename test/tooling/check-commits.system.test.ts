import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'

const root = join(import.meta.dirname, '../../..')
const env: NodeJS.ProcessEnv = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
for (const who of ['AUTHOR', 'COMMITTER'])
  Object.assign(env, { [`GIT_${who}_NAME`]: 'nobody', [`GIT_${who}_EMAIL`]: 'nobody@example.org' })

const check = (folder: string, ...args: string[]) =>
  spawnSync(process.execPath, ['scripts/check-commits.mjs', ...args], { cwd: folder, env, encoding: 'utf8' })

/**
 * A repository in which the second commit adds the script; the first one and those of branch `old` do not follow the
 * rule.
 */
function repository(t: Test) {
  const folder = t.testdir({ repository: {} })
  const work = join(folder, 'repository')
  const git = (...args: string[]) => execFileSync('git', args, { cwd: work, env, encoding: 'utf8' }).trim()
  const commit = (...message: string[]) =>
    git('commit', '--quiet', '--allow-empty', ...message.flatMap((part) => ['-m', part]))
  git('init', '--quiet', '--initial-branch=main')
  commit('first')
  git('branch', 'old')
  mkdirSync(join(work, 'scripts'))
  copyFileSync(join(root, 'scripts/check-commits.mjs'), join(work, 'scripts/check-commits.mjs'))
  git('add', '--all')
  commit('build: check commits', 'The history is read.')
  git('checkout', '--quiet', 'old')
  commit('what began before')
  git('checkout', '--quiet', 'main')
  git('merge', '--quiet', '--no-edit', 'old')
  return { folder, work, git, commit }
}

t.test('commits are checked from the one that adds the script, without merges and older branches', async (t) => {
  const { work, git, commit } = repository(t)
  t.match(check(work), { status: 0, stdout: 'commits: 1 checked, 0 problems\n' })
  execFileSync(
    'git',
    ['commit', '--quiet', '--allow-empty', '-m', 'Bump a package', '--author=helper[bot] <a@b.example>'],
    {
      cwd: work,
      env,
    },
  )
  commit('fix: a thing', 'It was wrong.')
  const hash = git('rev-parse', 'HEAD').slice(0, 8)
  t.match(check(work), {
    status: 1,
    stdout: 'commits: 2 checked, 1 problems\n',
    stderr: `${hash} "fix: a thing": "a" is no imperative, such as "add" or "refuse"\n`,
  })
  t.match(check(work, 'main~1..main'), { status: 1, stdout: 'commits: 1 checked, 1 problems\n' })
  t.match(check(work, 'nothing..main'), { status: 1, stderr: /git knows no commits nothing\.\.main/ })
})

t.test('without the history the check says so, and passes', async (t) => {
  const { folder, work } = repository(t)
  execFileSync('git', ['clone', '--quiet', '--depth=1', pathToFileURL(work).href, 'shallow'], { cwd: folder, env })
  t.match(check(join(folder, 'shallow')), { status: 0, stdout: /^commits: NOT CHECKED, the clone is shallow/ })
  rmSync(join(work, '.git'), { recursive: true })
  env.GIT_CEILING_DIRECTORIES = folder
  t.match(check(work), { status: 0, stdout: /^commits: NOT CHECKED, git has no history/ })
})
