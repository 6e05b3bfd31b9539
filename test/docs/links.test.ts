import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../../..')
const { filesBelow } = (await import(join(root, 'scripts/files.mjs'))) as { filesBelow: (folder: string) => string[] }
const read = (file: string) => readFileSync(join(root, file), 'utf8')

t.test('code, messages and settings name pages and sections of docs/ that exist', async (t) => {
  const files = ['src', 'scripts', 'deploy', 'loadtest', 'test']
    .flatMap((folder) => filesBelow(join(root, folder)))
    .filter((file) => /\.(?:ts|tsx|mjs|ya?ml|service)$/.test(file))
  const broken = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\b(docs\/[\w/-]+\.md)(?:#([\w-]+))?/g)]
      .filter(([, page, section]) => !exists(page!, section))
      .map(([name]) => `${file}: ${name}`),
  )
  t.same(broken, [])
})

t.test('the index names every page, and stays one screen', async (t) => {
  const index = read('docs/README.md')
  const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md')
  for (const page of pages) t.ok(index.includes(`](${page})`), page)
  t.ok(index.split('\n').length <= 50, 'at most 50 lines')
})

function exists(page: string, section?: string): boolean {
  return existsSync(join(root, page)) && (section === undefined || sections(page).includes(section))
}

/** The anchors of a page's headings, as GitHub makes them. */
function sections(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(/\s/g, '-'),
  )
}
