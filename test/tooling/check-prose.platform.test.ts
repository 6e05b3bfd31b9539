import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'

/** Root of the project: this file runs from build/test/tooling. */
const root = fileURLToPath(new URL('../../../', import.meta.url))
const rules = parse(readFileSync(join(root, '.prose.yaml'), 'utf8'))

/** Texts of files, and folders of them. */
interface Files {
  [name: string]: string | Files
}

/** Checks these files with the project's rules; names are those of files and folders. */
function check(t: Test, files: Files, settings: object = {}) {
  const globs = { files: ['**/*.md', '**/*.{ts,tsx}'], commentsOnly: [], ignore: [], unfinished: [] }
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

t.test('in a page of JSX, its text, its attributes and comments are prose, and nothing else is', async (t) => {
  const code = [
    '/** Read anew. */',
    'export const Page = ({ lately }: { lately: string }) => (',
    '  <p title="Told">',
    '    {/* Mended. */}',
    '    <b // Nobody hears it',
    '      id="b"',
    '    />',
    '    // Served at {lately} once, at',
    '    once.',
    '  </p>',
    ')',
    '',
  ].join('\n')
  const found = check(t, { 'page.tsx': code }).problems.map((line) => line.split(': ')[0])
  t.same(found, [
    'page.tsx:1:10 "anew"',
    'page.tsx:3:13 "Told"',
    'page.tsx:4:9 "Mended"',
    'page.tsx:5:18 "hears"',
    'page.tsx:8:33 "at once"',
  ])
})

t.test('a comment of code does not begin with "Of" or "What", unless it is a question', async (t) => {
  const code = [
    '// What comes first is a comment.',
    "const text = 'What a string begins with'",
    '/** Of each model, the last answer. */',
    'const a = 1 // Of the first',
    '/**',
    ' * What clients may hold, bytes.',
    ' */',
    '// What if it fails, or does not answer? It is asked again.',
    'const b = 2',
    '// Comments of several lines begin',
    '// What is a proper noun here.',
    '/* Bytes. What clients hold. */',
    'const c = <p>{/* What is not shown */}What clients hold</p>',
    '',
  ].join('\n')
  const page = 'Of each model, the last answer.\n'
  const files = { 'page.tsx': code, 'script.sh': '# Of a script.\n', 'page.md': page }
  const { problems } = check(t, files, { files: ['*'] })
  const found = problems.filter((line) => line.includes('begin with the noun')).map((line) => line.split(': ')[0])
  t.same(found, [
    'page.tsx:1:4 "What"',
    'page.tsx:3:5 "Of"',
    'page.tsx:4:16 "Of"',
    'page.tsx:6:4 "What"',
    'page.tsx:13:18 "What"',
    'script.sh:1:3 "Of"',
  ])
})

t.test('lines with a comment have at most 120 columns, but for directives and generated files', async (t) => {
  const wide = (start: string) => `${start.padEnd(121, 'x')}`
  const code = [
    wide('// biome-ignore format: '),
    wide('/** '),
    ' * Short. */',
    `/** ${'x'.repeat(113)} */`,
    wide("const text = '// ").replace(/x$/, "'"),
    `${wide('const a = 1 // ')} and more`,
    '',
  ].join('\n')
  const { problems } = check(
    t,
    { 'code.ts': code, 'made_pb.ts': `${wide('// ')}\n`, 'page.md': `${wide('# ')}\n` },
    { ignore: ['*_pb.ts'] },
  )
  t.same(problems, ['code.ts:2:121 "x": wrap at 120 columns', 'code.ts:6:121 "x and more": wrap at 120 columns'])
})

t.test('of some files, only the beginnings and lengths of comments are checked', async (t) => {
  const code = `// What is told anew.\n// ${'x'.repeat(118)}\n`
  const { problems } = check(t, { 'code.test.ts': code }, { files: [], commentsOnly: ['*.test.ts'] })
  t.match(problems, [/^code\.test\.ts:1:4 "What": begin/, 'code.test.ts:2:121 "x": wrap at 120 columns'])
})

t.test("the project's rules check pages of JSX, and the comments of tests, load tests and scripts", async (t) => {
  const { files, commentsOnly } = rules
  const text = '// Of a file that is read anew.\n'
  const code = { src: { 'a.tsx': text }, test: { a: { 'a.test.ts': text } }, loadtest: { 'a.ts': text } }
  const { problems } = check(t, { ...code, scripts: { 'a.mjs': text } }, { files, commentsOnly })
  t.same(
    problems.map((line) => line.split(': ')[0]),
    [
      'loadtest/a.ts:1:4 "Of"',
      'scripts/a.mjs:1:4 "Of"',
      'src/a.tsx:1:4 "Of"',
      'src/a.tsx:1:27 "anew"',
      'test/a/a.test.ts:1:4 "Of"',
    ],
  )
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
