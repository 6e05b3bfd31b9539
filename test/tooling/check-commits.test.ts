import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../../..')
const { problemsOf, types } = (await import(join(root, 'scripts/check-commits.mjs'))) as {
  problemsOf: (message: string) => string[]
  types: string[]
}

const why = '\n\nClients sent them by mistake.\n'

t.test('a conventional, imperative, short subject and a reason pass', async (t) => {
  for (const subject of [
    'fix: refuse empty bodies',
    'feat(server): add a header',
    'feat!: embed the console',
    'test: process rows as clients do',
    `docs: say ${'é'.repeat(62)}`,
    `docs: say ${'😀'.repeat(62)}`,
  ])
    t.same(problemsOf(subject + why), [], subject)
  t.same(problemsOf(`fix: refuse empty bodies${why}\nCo-authored-by: A <a@example.org>\n`), [])
})

t.test('other subjects are refused, with the reason', async (t) => {
  for (const [subject, problem] of [
    ['Refuse empty bodies', /^the subject is not "<type>: <what to do>"/],
    ['fix refuse empty bodies', /^the subject is not/],
    ['chore: refuse empty bodies', /one of the types feat, fix, /],
    ['fix:', /^the subject is not/],
    ['fixup! fix: refuse empty bodies', /^the subject is not/],
    ['fix: refused empty bodies', /^"refused" is no imperative/],
    ['fix: refuses empty bodies', /^"refuses" is no imperative/],
    ['fix: refusing empty bodies', /^"refusing" is no imperative/],
    ['fix: the server refuses empty bodies', /^"the" is no imperative/],
    [`docs: say ${'é'.repeat(63)}`, /^the subject has 73 characters, more than 72$/],
    ['fix: refuse empty bodies.', /full stop$/],
  ] as const)
    t.match(problemsOf(subject + why), [problem], subject)
})

t.test('a message has a blank line and says why', async (t) => {
  t.same(problemsOf('fix: refuse empty bodies\n'), ['no body says why'])
  t.same(problemsOf('fix: refuse empty bodies\n\nCo-authored-by: A <a@example.org>\n'), ['no body says why'])
  t.same(problemsOf('fix: refuse empty bodies\nThey break clients.\n'), ['no blank line follows the subject'])
})

t.test('CONTRIBUTING.md lists the types', async (t) => {
  const [, section] = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split('\n## Commits\n')
  t.same(
    [...section!.split('\n## ')[0]!.matchAll(/`([a-z]+):`/g)].map(([, type]) => type),
    types,
  )
})
