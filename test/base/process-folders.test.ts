import { spawnSync } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { isOfDeadProcess, makeTemporaryFolder } from '../../src/base/process-folders.ts'

t.test('temporary folders of processes that ended are removed, and no others', async (t) => {
  const root = t.testdir({ kept: { file: '' } })
  const before = process.env.TMPDIR
  process.env.TMPDIR = root
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  const named = (purpose: string, id: number, host = hostname()) => `multigate-${purpose}-${host}-${id}-0a1b2c3d`
  const others = [
    named('judge', process.ppid),
    named('plan', dead),
    named('judge', dead, 'elsewhere'),
    'multigate-judge-x',
  ]
  for (const name of [named('judge', dead), ...others]) await mkdir(join(root, name, 'model'), { recursive: true })
  await symlink(join(root, 'kept'), join(root, named('judge', process.pid)))
  const [first, second] = [await makeTemporaryFolder('judge'), await makeTemporaryFolder('judge')]
  t.equal(dirname(first), root)
  t.same((await readdir(root)).sort(), ['kept', basename(first), basename(second), ...others].sort())
  t.same(await readdir(join(root, 'kept')), ['file'], 'a link is removed, not what it leads to')
  t.notOk(isOfDeadProcess(basename(first), 'multigate-judge-'))
})
