import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const { repositoryOf } = (await import(join(root, 'scripts/repository.mjs'))) as {
  repositoryOf: (description: { repository: { url: string } }) => {
    page: string
    bugs: string
    homepage: string
    isPublic: boolean
  }
}

t.test('addresses follow from the repository', async (t) => {
  t.same(repositoryOf({ repository: { url: 'git+https://git.example.org/team/multigate.git' } }), {
    page: 'https://git.example.org/team/multigate',
    bugs: 'https://git.example.org/team/multigate/issues',
    homepage: 'https://git.example.org/team/multigate#readme',
    isPublic: true,
  })
  t.notOk(repositoryOf({ repository: { url: 'git+https://multigate.example/multigate.git' } }).isPublic)
})

t.test('the package and the chart name one repository', async (t) => {
  const description = JSON.parse(read('package.json'))
  const { page, bugs, homepage } = repositoryOf(description)
  t.match(description, { bugs, homepage }, 'run node scripts/repository.mjs')
  t.match(parse(read('deploy/helm/multigate/Chart.yaml')), { home: homepage, sources: [page] })
})

t.test('a release is published only from the repository that the package names', async (t) => {
  const { jobs } = parse(read('.github/workflows/release.yml'))
  const steps: { run?: string }[] = jobs.package.steps
  const at = (part: string) => steps.findIndex(({ run }) => run?.includes(part))
  t.ok(at('scripts/repository.mjs --is "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"') >= 0)
  t.ok(at('scripts/repository.mjs --is') < at('npm pack'))
  t.same(
    Object.keys(jobs).filter((job) => job !== 'package' && jobs[job].needs === undefined),
    [],
    'every other job waits for that one',
  )
})
