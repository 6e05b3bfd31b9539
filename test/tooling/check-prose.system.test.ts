import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'

/** Root of the project: this file runs from build/test/tooling. */
const root = fileURLToPath(new URL('../../../', import.meta.url))
const rules = parse(readFileSync(join(root, '.prose.yaml'), 'utf8'))

/** Checks these files with the project's rules; a file's path is its name. */
function check(t: Test, files: Record<string, string>, settings: object = {}) {
  const globs = { files: ['**/*.md', '**/*.ts'], ignore: [], unfinished: [] }
  const cwd = t.testdir({ ...files, '.prose.yaml': stringify({ ...rules, ...globs, ...settings }) })
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/check-prose.mjs')], {
    cwd,
    encoding: 'utf8',
  })
  return { status, problems: stderr.split('\n').filter((line) => line !== '') }
}

t.test('a sentence with a word that is not to be used fails, with file, line and replacement', async (t) => {
  const { status, problems } = check(t, { 'page.md': '# Page\n\nA request is read anew.\n' })
  t.equal(status, 1)
  t.same(problems, ['page.md:3:19 "anew": write "again", or drop it'])
})

t.test('each example of a private dialect is found, also across lines and in any case', async (t) => {
  const examples = [
    'Rejected at once.',
    'Rejected at\nonce.',
    'Mend the request.',
    'Sample a row a request.',
    'Use the thread that reads and answers.',
    "Here is why: what can't be answered is rejected.",
    'What is public comes first.',
    'Candidates seen before are fast.',
    'It is served as it is.',
    'Those by whom it is asked.',
  ]
  const names = examples.map((_, i) => `${i}.md`)
  const { problems } = check(t, Object.fromEntries(examples.map((text, i) => [`${i}.md`, `${text}\n`])))
  t.same(
    problems.map((line) => line.split(':')[0]),
    names,
  )
})

t.test('code, link targets, comments and questions in a document are no prose', async (t) => {
  const text = [
    'Plain English, `anew` and [a link](lately/mend.md#at-once).',
    '',
    '```sh',
    'echo anew',
    '```',
    '',
    '<!-- told -->',
    '',
    'What is a task? What it computes.',
    'Recommendations are amended, latest first.',
  ].join('\n')
  t.same(check(t, { 'page.md': text }), { status: 0, problems: [] })
})

t.test('in code, comments, strings and templates are prose, and nothing else is', async (t) => {
  const code = [
    "import { anew } from './anew.ts'",
    '/** Reads it anew. */',
    'const lately = anew // asked lately',
    "const message = 'Mend it'",
    'const text = `$' + '{lately} told $' + '{anew}`',
    '/**',
    ' * Answered at',
    ' * once.',
    ' */',
    '',
  ].join('\n')
  const found = check(t, { 'code.ts': code }).problems.map((line) => line.split(': ')[0])
  t.same(found, [
    'code.ts:2:14 "anew"',
    'code.ts:3:30 "lately"',
    'code.ts:4:18 "Mend"',
    'code.ts:5:25 "told"',
    'code.ts:7:13 "at * once"',
  ])
})

t.test('in a script, comments on lines of their own are prose, and nothing else is', async (t) => {
  const script = ['#!/bin/sh', '# Read anew, at', '# once.', 'echo anew # lately', '#> told', ''].join('\n')
  const { problems } = check(t, { 'script.sh': script }, { files: ['**/*.sh'] })
  t.same(
    problems.map((line) => line.split(': ')[0]),
    ['script.sh:2:8 "anew"', 'script.sh:2:14 "at # once"'],
  )
})

t.test('an unfinished file may have problems, but must be checked and must not be clean', async (t) => {
  const old = { 'old.md': 'Told anew.\n' }
  t.equal(check(t, old, { unfinished: ['old.md'] }).status, 0)
  t.match(check(t, { 'old.md': 'Fine.\n' }, { unfinished: ['old.md'] }), { status: 1, problems: [/old\.md is clean/] })
  t.match(check(t, old, { unfinished: ['old.md', 'gone.md'] }), { status: 1, problems: [/gone\.md, which is not/] })
})
