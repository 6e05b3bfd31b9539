import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '../../..')

/** A small project with these sources around the real scripts. */
function project(sources: Record<string, string>): string {
  const folder = t.testdir({ 'package.json': '{"type":"module"}' })
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const closestName = 'src/schemas/closest-name.ts'
const folder = project({
  'src/a.ts':
    "import kernel from './b.wat'\nexport const size: number = kernel.length\nexport const sum = (a: number, b: number): number => a + b\n",
  'src/b.wat': '(module (func (export "f") (result i32) i32.const 1))',
  'src/c.ts': 'export {}\n',
  [closestName]: readFileSync(join(root, closestName), 'utf8'),
  'test/a.test.ts':
    "import t from 'tap'\nimport { size, sum } from '../src/a.ts'\n\nt.ok(size > 8)\nt.equal(sum(1, 2), 3)\n",
  'test/c.test.ts': "import t from 'tap'\nimport '../src/c.ts'\n\nt.pass()\n",
  'loadtest/d.ts': 'export {}\n',
})

t.test('modules are compiled file by file, and those of deleted sources go', async (t) => {
  const build = () => execFileSync(process.execPath, ['scripts/build-modules.mjs'], { cwd: folder, stdio: 'pipe' })
  build()
  t.ok(existsSync(join(folder, 'build/src/c.js')))
  const { size } = (await import(join(folder, 'build/src/a.js'))) as { size: number }
  t.ok(size > 8, 'a kernel is its bytes')
  writeFileSync(join(folder, 'src/e.ts'), '')
  build()
  rmSync(join(folder, 'src/e.ts'))
  t.ok(existsSync(join(folder, 'build/src/e.js')))
  build()
  t.notOk(existsSync(join(folder, 'build/src/e.js')))
  t.ok(existsSync(join(folder, 'build/src/b.wat.js')))
})

t.test('what is saved is compiled, and the unit tests that import it run', async (t) => {
  const child = spawn(process.execPath, ['scripts/test-watch.mjs'], { cwd: folder })
  t.teardown(() => child.kill('SIGTERM'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const saved = async (text: string, answer: RegExp) => {
    output = ''
    writeFileSync(join(folder, 'src/a.ts'), text)
    await until(() => answer.test(output))
    t.match(output, /^\nsrc\/a\.ts: compiled in \d+\.\d s, 1 unit test files import it$/m)
    t.notMatch(output, 'c.test.ts')
  }
  const source = readFileSync(join(folder, 'src/a.ts'), 'utf8')
  await until(() => output.includes('Waiting'))
  await saved(source.replace('a + b', 'a - b'), /FAILED test\/a\.test\.ts: 1 passed, 1 failed/)
  await saved(source, /passed in \d+\.\d s/)
})
