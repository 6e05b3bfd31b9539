import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { contentOf, openContent } from '../../../src/tools/stores/content.ts'
import { openFolder } from '../../../src/tools/stores/folder.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const signal = new AbortController().signal
const [one, other] = [contentOf(Buffer.from('one')), contentOf(Buffer.from('other'))]

t.test('objects are put whole, under conditions', async (t) => {
  const folder = join(await temporaryFolder(t), 'new')
  const store = openFolder(folder)
  t.equal(await store.head('a/b/file', signal), undefined)
  t.notOk((await readdir(join(folder, '..'))).includes('new'), 'who only looks writes nothing')
  t.equal(await store.put('a/b/file', one, { ifAbsent: true }, signal), 'stored')
  t.equal(await store.put('a/b/file', other, { ifAbsent: true }, signal), 'conflict')
  t.equal(await readFile(join(folder, 'a/b/file'), 'utf8'), 'one')
  const { bytes, tag } = (await store.head('a/b/file', signal))!
  t.equal(bytes, 3)
  t.equal(await store.put('a/b/none', other, { ifTag: tag }, signal), 'conflict')
  t.equal(await store.put('a/b/file', other, { ifTag: tag }, signal), 'stored')
  t.equal(await store.put('a/b/file', one, { ifTag: tag }, signal), 'conflict', 'the tag is that of before')
  t.equal(await store.put('a/b/file', one, undefined, signal), 'stored')
  t.equal(await store.put('empty', contentOf(Buffer.alloc(0)), { ifAbsent: true }, signal), 'stored')
  t.same(await readdir(join(folder, 'a/b')), ['file'])
  t.same(await readdir(join(folder, '.unfinished')), [])
  await t.rejects(store.head('a', signal), /new\/a can't be read: it is no file/)
})

t.test('of several that put the same object, one does', async (t) => {
  const folder = await temporaryFolder(t)
  const contents = Array.from({ length: 20 }, (_, i) => contentOf(Buffer.from(`content ${i}`)))
  const put = contents.map((content) => openFolder(folder).put('a/file', content, { ifAbsent: true }, signal))
  const outcomes = await Promise.all(put)
  t.equal(outcomes.filter((outcome) => outcome === 'stored').length, 1)
  t.equal(await readFile(join(folder, 'a/file'), 'utf8'), `content ${outcomes.indexOf('stored')}`)
})

t.test('content that changes while it is read gets no name', async (t) => {
  const folder = await temporaryFolder(t)
  const store = openFolder(join(folder, 'to'))
  for (const text of ['two', 'on', 'longer'])
    await t.rejects(store.put('file', { ...one, read: contentOf(Buffer.from(text)).read }, undefined, signal), {
      message: `${folder}/to/file can't be written: the file changed while it was read`,
    })
  const gone = new AbortController()
  gone.abort(new Error('stopped'))
  await t.rejects(store.put('file', one, undefined, gone.signal), { message: 'stopped' })
  t.same(await readdir(join(folder, 'to')), ['.unfinished'])
  t.same(await readdir(join(folder, 'to/.unfinished')), [])
})

t.test('what a process has left that was killed goes; what others write stays', async (t) => {
  const folder = await temporaryFolder(t)
  // No process has this number.
  const [dead, theirs] = [`${hostname()}-${2 ** 30}-12345678`, 'another-host-1-12345678']
  for (const name of [dead, theirs]) await mkdir(join(folder, '.unfinished', name), { recursive: true })
  await openFolder(folder).put('file', one, undefined, signal)
  t.same(await readdir(join(folder, '.unfinished')), [theirs])
})

t.test('an object that can not be written is named', async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  const store = openFolder(join(folder, 'file'))
  await t.rejects(store.put('a', one, undefined, signal), /\/file\/a can't be written: E/)
  await t.rejects(store.head('a', signal), /\/file\/a can't be read: ENOTDIR/)
})

t.test('a file is content that stays when its name is gone', async (t) => {
  const file = join(await temporaryFolder(t), 'file')
  const bytes = Buffer.alloc(600_000, 'abc')
  await writeFile(file, bytes)
  const content = await openContent(file, signal)
  await rm(file)
  const { sha256, md5 } = contentOf(bytes)
  t.match(content, { bytes: 600_000, sha256, md5 })
  for (let again = 0; again < 2; again++) {
    const chunks = []
    for await (const chunk of content.read()) chunks.push(chunk)
    t.ok(Buffer.concat(chunks).equals(bytes))
  }
  await content.close()
  await t.rejects(openContent(file, signal), { code: 'ENOENT' })
})
