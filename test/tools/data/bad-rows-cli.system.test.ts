import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { adsFunnelColumns, createAdsFunnel } from '../../../src/tools/data/ads-funnel.ts'
import { runCli } from '../../support/cli.ts'
import { cli } from '../../support/entries.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'
import { until } from '../../support/until.ts'

/*
 * `multigate evaluate` on rows that it can't read: exit code and message.
 */

const root = join(import.meta.dirname, '../../../..')
const options = {
  generator: 'ads-funnel' as const,
  skip: 0,
  seed: 1,
  click_rate: 0.1,
  conversion_rate: 0.3,
  relation: 0.6,
}
const names = adsFunnelColumns.map(({ name }) => name)

/** Rows of the model ads-funnel as CSV, the header first. */
function csvOf(rows: number, columns = names): string {
  const indexes = columns.map((name) => names.indexOf(name))
  const lines = [columns.join(',')]
  const { rows: read } = createAdsFunnel({ ...options, rows })
  for (const row of read() as Iterable<readonly unknown[]>)
    lines.push(indexes.map((index) => row[index] ?? '').join(','))
  return `${lines.join('\n')}\n`
}

/** 100 rows, of which one has another quality. */

const spec = { data: { csv: ['rows.csv'] }, tasks: [{ name: 'ctr', label: 'click == "1"' }] }

function evaluating(folder: string): string[] {
  const paths = [
    '--models',
    join(root, 'models'),
    '--data',
    join(folder, 'rows.yaml'),
    '--report',
    join(folder, 'report'),
  ]
  return ['evaluate', 'ads-funnel', ...paths]
}

function run(args: string[], node: string[] = []) {
  const child = spawn(process.execPath, [...node, cli, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { child, ended: output.then(([stdout, stderr, [code, signal]]) => ({ stdout, stderr, code: code ?? signal })) }
}

const rows = csvOf(2000)
const [header] = rows.split('\n')

/** Ends of stderr, by what is wrong. */
const cases: Record<string, { changes?: object; files?: Record<string, string | Buffer>; message: RegExp }> = {
  'labels that are no labels': {
    changes: { tasks: [{ name: 'ctr', label: 'click' }] },
    message:
      /rows\.yaml:\n {2}\/tasks\/0 rows\.csv line 2: label must yield true or false, 1 or 0, not "[01]": say which values are positive, as in click == "1"\n/,
  },
  'negative weights': {
    changes: { weight: 'w' },
    files: { 'rows.csv': rows.replaceAll('\n', ',-1\n').replace(/^.*/, `${header},w`) },
    message: /rows\.yaml:\n {2}\/weight rows\.csv line 2: a weight must not be negative, as -1 is\n/,
  },
  'no column of groups': {
    changes: { group: 'usr' },
    message: /rows\.yaml:\n {2}\/group no column "usr"; the columns are country, .*; did you mean user\?\n$/,
  },
  'no column of a field': {
    files: {
      'rows.csv': csvOf(
        100,
        names.filter((name) => name !== 'price'),
      ),
    },
    message:
      /rows\.yaml:\n {2}\/fields no column "price"; .*the model has the field price: name its column under `fields`\n$/,
  },
  'a part of a compressed file': {
    changes: { data: { csv: ['rows.csv.gz'] } },
    files: { 'rows.csv.gz': gzipSync(rows).subarray(0, 20_000) },
    message:
      /rows\.yaml:\n {2}\/data\/csv\/0 rows\.csv\.gz: ends too early: the compressed file is only a part of one\n$/,
  },
  'a task that the model has not': {
    changes: { tasks: [{ name: 'clicks', label: 'click == "1"' }] },
    message: /rows\.yaml:\n {2}\/tasks\/0\/name "clicks" is no task of the model: ctr, cvr, ctcvr\n$/,
  },
}

for (const [name, { changes = {}, files = {}, message }] of Object.entries(cases))
  t.test(name, async (t) => {
    const folder = t.testdir({ 'rows.csv': rows, ...files, 'rows.yaml': JSON.stringify({ ...spec, ...changes }) })
    const { stdout, stderr, code } = await runCli(evaluating(folder))
    t.match(stderr, message)
    t.equal(code, 1)
    t.equal(stdout, '')
    t.notOk(readdirSync(folder).includes('report'))
  })

t.test('rows that memory does not hold', async (t) => {
  const folder = t.testdir({ 'rows.csv': csvOf(20_000), 'rows.yaml': JSON.stringify(spec) })
  const preload = join(import.meta.dirname, '../../support/little-memory.js')
  const { stderr, code } = await run(evaluating(folder), ['--import', preload]).ended
  t.match(stderr, /rows\.yaml:\n {2}\/data about \d+,000 rows would take .* of memory, and .* are available/)
  t.equal(code, 1)
  const training = { ...tinySpec(), data: { csv: ['tiny.csv'] } }
  const trained = t.testdir({ 'tiny.csv': tinyCsv(20_000), 'tiny.yaml': JSON.stringify(training) })
  const args = ['train', join(trained, 'tiny.yaml'), '--models', join(trained, 'models')]
  const refused = await run(args, ['--import', preload]).ended
  t.match(refused.stderr, /tiny\.yaml:\n {2}\/data about \d+,000 rows would take .* of memory, and .* are available/)
  t.equal(refused.code, 1)
})

t.test('Ctrl-C while rows are read', { skip: process.platform !== 'linux' && 'needs /proc' }, async (t) => {
  const folder = t.testdir({ 'rows.yaml': JSON.stringify(spec) })
  const file = createWriteStream(join(folder, 'rows.csv'))
  const [first, ...lines] = rows.trim().split('\n')
  file.write(`${first}\n`)
  const block = `${lines.join('\n')}\n`
  for (let i = 0; i < 500; i++) if (!file.write(block)) await once(file, 'drain')
  await new Promise<void>((resolve) => file.end(resolve))
  const before = readdirSync(folder)
  const { child, ended } = run(evaluating(folder))
  await until(() => child.exitCode !== null || isOpen(child.pid!, join(folder, 'rows.csv')))
  child.kill('SIGINT')
  const { stdout, stderr, code } = await ended
  t.equal(code, 130)
  t.equal(stderr, 'Stopped; nothing was written.\n')
  t.equal(stdout, '')
  t.same(readdirSync(folder), before)
})

/** Whether a process has a file open. */
function isOpen(pid: number, file: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some((fd) => {
    try {
      return readlinkSync(join(folder, fd)) === file
    } catch {
      // It was closed meanwhile.
      return false
    }
  })
}
