// Checks the messages of commits: a conventional, imperative subject of at most 72 characters, and a body with the
// reason.
//   node scripts/check-commits.mjs            the commits since this file was added, on the branches that have it
//   node scripts/check-commits.mjs A..B       those of a range, as for git log
// Lists every problem, and exits with 1 if there is one. Merges, and the commits of bots, are not checked. Without the
// history, as in an archive or a shallow clone, it says that it checks nothing, and passes.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export const types = ['feat', 'fix', 'test', 'docs', 'build', 'ci', 'perf', 'refactor', 'revert', 'style']
/** Longer subjects are cut by GitHub and by `git log --oneline` in a terminal of 80 columns. */
const longest = 72
/** First words that begin a description instead of an order. */
const descriptive =
  /^(?:an?|the|this|that|these|those|what|how|where|when|why|which|who|no|not|one|two|every|each|all|some|more|new|also|now)$/i
/** Verbs that only look like another form. */
const imperative = /^(?:(?:ex|suc|pro)?ceed|embed|feed|need|seed|shed|speed|bring|ping|string|bias|alias|focus)$/i

/** The problems of a commit's message; none if it is right. */
export function problemsOf(message) {
  const [subject = '', ...rest] = message.trim().split('\n')
  const [, type, description] = /^([a-z]+)(?:\([\w./-]+\))?!?: (\S.*)$/.exec(subject) ?? []
  const first = description?.split(/[\s:,;]/)[0] ?? ''
  const problems = []
  if (description === undefined || !types.includes(type))
    problems.push(`the subject is not "<type>: <what to do>" with one of the types ${types.join(', ')}`)
  else if (!isImperative(first)) problems.push(`"${first}" is no imperative, such as "add" or "refuse"`)
  // Counted as people do: a character beyond U+FFFF is one.
  const length = [...subject].length
  if (length > longest) problems.push(`the subject has ${length} characters, more than ${longest}`)
  if (subject.endsWith('.')) problems.push('the subject ends with a full stop')
  if (rest.length > 0 && rest[0].trim() !== '') problems.push('no blank line follows the subject')
  if (rest.every((line) => line.trim() === '' || isTrailer(line))) problems.push('no body says why')
  return problems
}

/** Judged by its form alone: not added, adding, adds. */
function isImperative(word) {
  if (imperative.test(word)) return true
  return !descriptive.test(word) && !/(?:ed|ing|[^sui]s)$/i.test(word)
}

/** As `Co-authored-by: …`. */
function isTrailer(line) {
  return /^[A-Z][\w-]+-[\w-]+: \S/.test(line)
}

function main([range]) {
  const found = commitsOf(range)
  if (typeof found === 'string') {
    console.log(`commits: NOT CHECKED, ${found}`)
    return
  }
  const problems = found.flatMap(({ hash, message }) =>
    problemsOf(message).map((problem) => `${hash.slice(0, 8)} "${message.split('\n')[0]}": ${problem}`),
  )
  for (const problem of problems) console.error(problem)
  console.log(`commits: ${found.length} checked, ${problems.length} problems`)
  process.exitCode = problems.length > 0 ? 1 : 0
}

/**
 * Commits with their messages, or the reason why there are none to check. Throws an Error for a range that git does not
 * know.
 */
function commitsOf(range) {
  const shallow = git('rev-parse', '--is-shallow-repository')
  if (shallow === undefined) return 'git has no history of this folder'
  if (range !== undefined) {
    const commits = log(range)
    if (commits === undefined) throw new Error(`git knows no commits ${range}`)
    return commits
  }
  if (shallow.trim() === 'true') return 'the clone is shallow: git fetch --unshallow gets the history'
  const introduced = git('log', '--diff-filter=A', '--format=%H', '--', 'scripts/check-commits.mjs')
  const first = introduced?.trim().split('\n').at(-1)
  if (!first) return 'no commit has this script yet'
  // Branches that began before it are not held to it.
  return [...log('--max-count=1', first), ...log('--ancestry-path', `${first}..HEAD`)]
}

function log(...args) {
  return git('log', '--no-merges', '--format=%H%x1f%an%x1f%B%x00', ...args)
    ?.split('\0')
    .filter((record) => record.trim() !== '')
    .map((record) => record.trim().split('\x1f'))
    .filter(([, author]) => !author.endsWith('[bot]'))
    .map(([hash, , message]) => ({ hash, message }))
}

/** The output of git, or undefined where it is missing or fails. */
function git(...args) {
  const cwd = join(import.meta.dirname, '..')
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 })
  return status === 0 ? stdout : undefined
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2))
