import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { replaceFile, replaceFiles } from '../../src/base/files.ts'

t.test('files are replaced together, or none of them is', async (t) => {
  const folder = t.testdir({ page: 'old' })
  const [page, data] = [join(folder, 'page'), join(folder, 'data')]
  await t.rejects(replaceFiles({ [page]: 'new', [join(folder, 'missing', 'data')]: '1' }), { code: 'ENOENT' })
  t.same(await readdir(folder), ['page'], 'nothing is left of the attempt')
  t.equal(await readFile(page, 'utf8'), 'old')
  await replaceFiles({ [page]: 'new', [data]: Uint8Array.of(65) })
  t.same((await readdir(folder)).sort(), ['data', 'page'])
  t.same([await readFile(page, 'utf8'), await readFile(data, 'utf8')], ['new', 'A'])
})

t.test('a file has the permissions that are asked for', async (t) => {
  const file = join(t.testdir({}), 'key')
  await replaceFile(file, 'secret', 0o600)
  t.equal((await stat(file)).mode & 0o777, 0o600)
})
