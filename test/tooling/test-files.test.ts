import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '../../..')
const { chooseFiles, testFiles } = (await import(join(root, 'scripts/test-files.mjs'))) as {
  chooseFiles: (args: string[], all: string[]) => string[]
  testFiles: () => string[]
}
const { processesFor } = (await import(join(root, 'scripts/test-processes.mjs'))) as {
  processesFor: (files: string[], known: Record<string, number>, jobs: number) => string[][]
}

t.test('the command line chooses files by tier, by name and by a part of a path', async (t) => {
  const [unit, system, platform, full, other] = [
    'build/test/model/serving/registry/policy.test.js',
    'build/test/app/registry.system.test.js',
    'build/test/deploy/chart.platform.test.js',
    'build/test/tooling/release.full.test.js',
    'build/test/app/pin.test.js',
  ] as const
  const all = [unit, system, platform, full, other]
  for (const [args, expected] of [
    [[], [unit, system, other]],
    [['--system'], [unit, system, other]],
    [['--unit'], [unit, other]],
    [['--platform'], [platform]],
    [['--full'], all],
    [['registry'], [unit, system]],
    [['serving/registry'], [unit]],
    [['--unit', 'registry'], [unit]],
    [
      ['chart', 'registry', 'policy'],
      [platform, unit, system],
    ],
    [['test/app/pin.test.ts'], [other]],
    [
      ['./test/deploy/chart.platform.test.ts', full],
      [platform, full],
    ],
  ] as const)
    t.same(chooseFiles([...args], all), expected, args.join(' '))
  for (const [args, message] of [
    [['regsitry'], `no test file has regsitry in its path; near it:\n  ${source(unit)}\n  ${source(system)}`],
    [
      ['registry', 'test/app/pim.test.ts'],
      `no test file has test/app/pim.test.ts in its path; near it:\n  ${source(other)}`,
    ],
    [['--unit', 'chart'], 'no test file has chart in its path; its folders are model, app'],
    [['xylophone'], 'no test file has xylophone in its path; its folders are model, app, deploy, tooling'],
    [['--unti'], 'there is no option --unti; there are --unit, --system, --platform, --full'],
  ] as const)
    t.throws(() => chooseFiles([...args], all), { message }, args.join(' '))
})

t.test('system tests that start processes share others, and those that ask for it have one of their own', async (t) => {
  const folder = t.testdir({
    'starts.system.test.js': `import { spawn } from 'node:child_process'`,
    'also-starts.system.test.js': `import cluster from "node:cluster"`,
    'asks.system.test.js': `import t from "tap"\nimport "../support/own-process.js"`,
    'shares.system.test.js': `import t from 'tap'\nconst spawn = 'child_process'`,
    'also.system.test.js': '',
    'unit.test.js': `const { spawn } = await import('node:child_process')`,
  })
  const files = ['starts', 'also-starts', 'asks', 'shares', 'also'].map((name) =>
    join(folder, `${name}.system.test.js`),
  )
  const [starts, alsoStarts, asks, shares, also] = files as [string, string, string, string, string]
  const unit = join(folder, 'unit.test.js')
  t.same(processesFor([...files, unit], {}, 0.1).sort(), [[asks], [shares, also], [starts, alsoStarts], [unit]].sort())
  const real = ['build/test/app/start.system.test.js', 'build/test/app/listen.system.test.js']
  t.same(
    processesFor([...real, also], {}, 0.1).sort(),
    [[real[1], also], [real[0]]].sort(),
    'start.system imports process.ts',
  )
})

t.test('processes have 30 s of tests at most, and the longest start first', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e']
  const [a, b, c, d, e] = names as [string, string, string, string, string]
  const files = names.map((name) => `build/test/none/${name}.test.js`)
  const seconds = { a: 22, b: 7, c: 9, d: 40, e: 1 }
  const known = Object.fromEntries(Object.entries(seconds).map(([name, value]) => [`test/none/${name}.test.ts`, value]))
  const nameOf = (file: string) => file.slice('build/test/none/'.length, -'.test.js'.length)
  t.same(
    processesFor(files, known, 0.5).map((group) => group.map(nameOf)),
    [[d], [a, b], [c], [e]],
  )
  t.same(
    processesFor(files, known, 2).map((group) => group.map(nameOf)),
    [[d], [a], [c], [b], [e]],
    'few files are cut into four for each of two that run at once',
  )
})

t.test('the table of slow files names files that there are', async (t) => {
  const table: Record<string, number> = JSON.parse(readFileSync(join(root, 'scripts/test-seconds.json'), 'utf8'))
  const present = new Set(testFiles().map(source))
  t.same(
    Object.keys(table).filter((file) => !present.has(file)),
    [],
    'node scripts/test-seconds.mjs writes it',
  )
})

function source(file: string): string {
  return file.replace(/^build\/(.*)\.js$/, '$1.ts')
}
