// Applies the recipes of docs/recipes.md to a copy of the tree, compiles it and runs their commands.
//   node scripts/check-recipes.mjs [heading …]    all recipes, or those with these headings; exits with 1 if one fails
// Blocks: ```ts title="path" is a new file, ```diff an edit, ```sh commands, and ```text after them what they print.
// Commands of ```sh models="folder" run while a server on that folder answers. Needs git and bash.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { startServer } from './server.mjs'

const root = join(import.meta.dirname, '..')
const mostFiles = 3
/** The files that scripts write from other files; they do not count. */
const generated = ['docs/configuration.md', 'docs/spec.md', 'deploy/helm/multigate/values.schema.json']

const wanted = process.argv.slice(2)
const recipes = readRecipes(readFileSync(join(root, 'docs/recipes.md'), 'utf8')).filter(
  ({ title }) => wanted.length === 0 || wanted.includes(title),
)
if (recipes.length === 0 || recipes.length < wanted.length) throw new Error('docs/recipes.md has no such recipe')

const copy = mkdtempSync(join(tmpdir(), 'multigate-recipes-'))
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(GIT_|TAP|MULTIGATE_|NODE_OPTIONS)/.test(name)),
  ),
  MULTIGATE_CACHE: join(copy, 'build/cache'),
  // Seconds; the default is meant for an idle machine.
  TAP_TIMEOUT: '1800',
}
try {
  copyTree()
  for (const recipe of recipes) apply(recipe)
  const from = performance.now()
  run('node scripts/setup.mjs --modules && node node_modules/typescript/bin/tsc -p tsconfig.json')
  report('compile', from)
  for (const recipe of recipes) await check(recipe)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(copy, { recursive: true, force: true })
}

/** Recipes are sections; blocks may be indented, as part of a list. */
function readRecipes(text) {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const blocks = [...section.matchAll(/^( *)```(\w+)(?: (\w+)="([^"]*)")?\n([\s\S]*?)^\1```$/gm)].map(
        ([, indent, language, key, value, code]) => ({
          language,
          ...(key && { [key]: value }),
          code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
        }),
      )
      return { title: section.slice(0, section.indexOf('\n')), blocks, files: new Set(), tree: new Set() }
    })
}

/** The tree, without what is large and not needed, as a repository with one commit. */
function copyTree() {
  execFileSync(process.execPath, [join(root, 'scripts/setup.mjs'), '--tools', '--no-build'], { stdio: 'inherit' })
  const left =
    /^(?:node_modules|build|dist|coverage|profiles|\.git|\.tap|loadtest\/results|models\/(?!ads-funnel$)[^/]+)$/
  cpSync(root, copy, { recursive: true, filter: (path) => !left.test(relative(root, path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  git('init', '-q')
  // .gitignore names the folder, and a link is none.
  writeFileSync(join(copy, '.git/info/exclude'), 'node_modules\n')
  commit()
}

/** Creates and edits the files of a recipe. */
function apply({ title, blocks, files, tree }) {
  for (const path of git('ls-files').split('\n')) tree.add(dirname(path))
  for (const { language, title: path, code } of blocks) {
    if (path !== undefined) {
      mkdirSync(dirname(join(copy, path)), { recursive: true })
      writeFileSync(join(copy, path), code)
    } else if (language === 'diff') {
      const { status, stderr } = spawnSync('git', ['apply', '-'], { cwd: copy, env, input: code, encoding: 'utf8' })
      if (status !== 0) throw new Error(`${title}: ${stderr}${code}`)
    }
  }
  for (const path of changes()) files.add(path)
  commit()
}

/** Runs the commands of a recipe, and checks what they print and what the whole recipe has changed. */
async function check({ title, blocks, files, tree }) {
  const from = performance.now()
  const code = [...files].filter((path) => path.endsWith('.ts'))
  if (code.length > 0) run(`node_modules/.bin/biome check --error-on-warnings ${code.join(' ')}`)
  for (const [i, block] of blocks.entries()) {
    if (block.language !== 'sh') continue
    const printed = block.models === undefined ? run(block.code) : await serve(block)
    const expected = blocks[i + 1]?.language === 'text' ? blocks[i + 1].code : undefined
    if (expected !== undefined && printed !== expected)
      throw new Error(`${title}: expected\n${expected}but the commands print\n${printed}`)
  }
  for (const path of changes()) files.add(path)
  commit()
  const own = [...files].filter((path) => !generated.includes(path))
  const touched = new Set(own.map((path) => (tree.has(dirname(path)) ? path : dirname(path))))
  if (touched.size > mostFiles) throw new Error(`${title}: changes ${touched.size} files: ${[...touched].join(', ')}`)
  report(title, from, [...touched].join(', '))
}

async function serve({ models, code }) {
  const { url, stop } = await startServer(['--models', models], { isReady: true, cwd: copy, env })
  try {
    return await runWhileServing(code.replaceAll('http://127.0.0.1:3000', url))
  } finally {
    await stop()
  }
}

/** Does not block, so that the server's end is noticed. */
async function runWhileServing(commands) {
  const child = spawn('bash', ['-eo', 'pipefail', '-c', commands], {
    cwd: copy,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (part) => (printed += part))
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`failed: ${commands}${printed}`)
  return printed
}

function run(commands) {
  const { status, stdout, stderr } = spawnSync('bash', ['-eo', 'pipefail', '-c', commands], {
    cwd: copy,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  if (status !== 0) throw new Error(`failed: ${commands}\n${stdout}${stderr}`)
  return stdout
}

function git(...args) {
  const identity = ['-c', 'user.name=recipes', '-c', 'user.email=recipes@localhost', '-c', 'commit.gpgsign=false']
  return execFileSync('git', [...identity, ...args], { cwd: copy, env, encoding: 'utf8', maxBuffer: 2 ** 26 })
}

function changes() {
  git('add', '-A')
  return git('diff', '--cached', '--name-only').split('\n').filter(Boolean)
}

function commit() {
  git('add', '-A')
  git('commit', '-q', '--allow-empty', '-m', 'recipe')
}

function report(title, from, details = '') {
  console.log(`${title}: ${((performance.now() - from) / 1000).toFixed(1)} s${details && `; ${details}`}`)
}
