import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../../..')
const { filesBelow } = (await import(join(root, 'scripts/files.mjs'))) as { filesBelow: (folder: string) => string[] }
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const recipes = read('docs/recipes.md')

/** The files that recipes create. */
const created = new Set([...recipes.matchAll(/^ *```\w+ title="([^"]+)"/gm)].map(([, path]) => path!))

t.test('documents and comments name files and folders of the code that exist', async (t) => {
  const missing = [...texts()].flatMap(([file, text]) =>
    namedPaths(text)
      .filter((path) => !existsSync(join(root, path)) && !(file === 'docs/recipes.md' && created.has(path)))
      .map((path) => `${file}: ${path}`),
  )
  t.same(missing, [])
})

t.test('comments name modules that exist, by the end of their paths', async (t) => {
  const modules = ['src', 'test', 'loadtest'].flatMap((folder) => filesBelow(join(root, folder)))
  const missing = [...texts()].flatMap(([file, text]) =>
    [...(file.endsWith('.md') ? '' : text).matchAll(/(?<![\w./*-])(?!build\/)(?:[\w-]+\/)*[\w-][\w.-]*\.tsx?\b/g)]
      .filter(([name]) => !modules.some((path) => path.endsWith(`/${name}`)))
      .map(([name]) => `${file}: ${name}`),
  )
  t.same(missing, [])
})

t.test('a path may be compiled, end a sentence or be a pattern', async (t) => {
  const text = 'See `src/a.ts`, test/b/, build/loadtest/c.js. (../scripts/d.mjs) src/**/*.ts test/{e,f}.ts x/src/g.ts'
  t.same(namedPaths(text), ['src/a.ts', 'test/b/', 'loadtest/c.ts', 'scripts/d.mjs'])
})

t.test('the diffs of recipes fit the files, and their new files import files that exist', async (t) => {
  const misfits = [...recipes.matchAll(/^( *)```(\w+)(?: title="([^"]+)")?\n([\s\S]*?)^\1```$/gm)].flatMap(
    ([, indent, language, path, block]) => {
      const code = block!.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
      if (path !== undefined) return missingImports(path, code).map((specifier) => `${path} imports ${specifier}`)
      return language === 'diff' ? misfitsOf(code) : []
    },
  )
  t.same(misfits, [])
})

/** Every document but those of past releases, and the comments of every file of code, by their paths. */
function* texts(): Iterable<[file: string, text: string]> {
  const folders = ['src', 'test', 'scripts', 'loadtest', 'examples', 'deploy', 'docs', 'models', '.github']
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'Dockerfile']
  const files = folders.flatMap((folder) => filesBelow(join(root, folder))).map((file) => relative(root, file))
  for (const file of [...pages, ...files]) {
    if (/\bnode_modules\/|^docs\/upgrading\.md$/.test(file)) continue
    if (file.endsWith('.md')) yield [file, read(file)]
    else if (/\.(?:tsx?|mjs|js|css)$/.test(file))
      yield [file, comments(read(file), /^ *\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/gm)]
    else if (/\.(?:ya?ml|py|sh|service)$|^Dockerfile$/.test(file)) yield [file, comments(read(file), /(?<=^|\s)#.*/gm)]
  }
}

function comments(code: string, pattern: RegExp): string {
  return (code.match(pattern) ?? []).join('\n')
}

/** Paths from the project's folder that a text names, those of compiled files as their sources; no patterns. */
function namedPaths(text: string): string[] {
  const named = /(?<![\w/.@-])(?:\.\.\/)*(build\/)?((?:src|test|scripts|loadtest)\/(?:[\w./-]*\w\/?)?)(?![\w*{<$[…-])/g
  return [...text.matchAll(named)].map(([, compiled, path]) => (compiled ? path!.replace(/\.js$/, '.ts') : path!))
}

/** Hunks of a diff whose old lines are not in their file. */
function misfitsOf(diff: string): string[] {
  return diff.split(/^--- a\//m).flatMap((part) => {
    const [path, ...hunks] = part.split(/\n(?:\+\+\+ .*\n)?@@.*\n/)
    return hunks
      .map((hunk) => hunk.replaceAll(/^\+.*\n?/gm, '').replaceAll(/^[ -]/gm, ''))
      .filter((old) => !read(path!).includes(old))
      .map((old) => `${path} lacks\n${old}`)
  })
}

function missingImports(path: string, code: string): string[] {
  return [...code.matchAll(/ from '(\.[^']+)'$/gm)]
    .map(([, specifier]) => specifier!)
    .filter((specifier) => {
      const imported = join(dirname(path), specifier)
      return !created.has(imported) && !existsSync(join(root, imported))
    })
}
