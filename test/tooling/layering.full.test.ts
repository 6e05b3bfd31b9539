// The rooms of src/ and who may import whom, asked of the linter itself, since a rule that never fires is no rule.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'tap'

const root = join(import.meta.dirname, '../../..')

/** Sources of a small project, and what the linter says of it. */
const projects: [title: string, files: Record<string, string>, says: RegExp][] = [
  ['a room imports an earlier one', { 'server/a.ts': '../base/b.ts', 'base/b.ts': '' }, /no dependency viol/],
  ['schemas import nothing', { 'schemas/a.ts': '../base/b.ts', 'base/b.ts': '' }, /error room: schemas/],
  [
    'model knows no server',
    { 'model/engines/a.ts': '../../server/b.ts', 'server/b.ts': '' },
    /error room: model\/engines/,
  ],
  [
    'an inner room',
    { 'model/graph/ir/a.ts': '../compile/b.ts', 'model/graph/compile/b.ts': '' },
    /error room: model\/graph\/ir/,
  ],
  [
    'rooms of one line',
    { 'tools/train/a.ts': '../convert/b.ts', 'tools/convert/b.ts': '' },
    /error room: tools\/train/,
  ],
  ['a folder without a place', { 'other/a.ts': '../schemas/b.ts', 'schemas/b.ts': '' }, /error no room/],
  ['a ring of files', { 'app/a.ts': './b.ts', 'app/b.ts': './a.ts' }, /error no ring of files/],
  [
    'a ring of folders',
    {
      'server/x/a.ts': '../y/b.ts',
      'server/y/b.ts': '',
      'server/y/c.ts': '../x/d.ts',
      'server/x/d.ts': '',
    },
    /error no ring of folders/,
  ],
  ['model knows no HTTP', { 'model/quality/a.ts': 'fastify' }, /error packages of model/],
  ['server knows no engine', { 'server/a.ts': 'onnxruntime-node' }, /error packages of server/],
]

for (const [title, files, says] of projects)
  test(title, async (t) => {
    const folder = t.testdir({})
    for (const [file, imported] of Object.entries(files)) {
      const path = join(folder, 'src', file)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, imported === '' ? 'export {}\n' : `import '${imported}'\n`)
    }
    for (const file of ['.dependency-cruiser.mjs', 'tsconfig.json', 'package.json'])
      copyFileSync(join(root, file), join(folder, file))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
        '--config',
        '.dependency-cruiser.mjs',
        'src',
      ],
      { cwd: folder, encoding: 'utf8' },
    )
    t.match(stdout + stderr, says)
  })
