import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { contentOf } from '../../../src/tools/stores/content.ts'
import type { Bucket } from '../../../src/tools/stores/object-store.ts'
import { openBucket } from '../../../src/tools/stores/open-store.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { needsPython, startStore } from '../../support/object-stores.ts'

const signal = new AbortController().signal

/** A store that was started, by its own program and as this one opens it. */
async function open(t: Test, kind: 's3' | 'gcs') {
  const started = await startStore(t, kind)
  for (const [name, value] of Object.entries(started.env)) {
    const former = process.env[name]
    process.env[name] = value
    t.teardown(() => {
      if (former === undefined) delete process.env[name]
      else process.env[name] = former
    })
  }
  const store = (await openBucket(`${kind === 's3' ? 's3' : 'gs'}://models/log`, true))!
  return { store, started }
}

async function listed(store: Bucket): Promise<[path: string, bytes: number][]> {
  const all: [string, number][] = []
  let next: string | undefined
  do {
    const part = await store.list(next, signal)
    for (const { path, bytes } of part.objects) all.push([path, bytes])
    next = part.next
  } while (next !== undefined)
  return all
}

for (const kind of ['s3', 'gcs'] as const)
  t.test(`${kind}: objects are put whole, under conditions`, needsPython, async (t) => {
    const { store, started } = await open(t, kind)
    const key = 'a b/ä?#%/file.jsonl'
    t.equal(await store.head(key, signal), undefined)
    // Larger than what libraries send without a question, with bytes that are no text.
    const large = contentOf(
      Buffer.alloc(
        3_000_001,
        Uint8Array.from({ length: 256 }, (_, i) => i),
      ),
    )
    t.equal(await store.put(key, large, { ifAbsent: true }, signal), 'stored')
    const head = (await store.head(key, signal))!
    t.equal(head.bytes, large.bytes)
    t.equal(head.sha256 ?? head.md5, kind === 's3' ? large.sha256 : large.md5)
    t.same(contentOf(await buffer((await store.get(key, undefined, signal))!.body)).sha256, large.sha256)

    const small = contentOf(Buffer.from('small'))
    t.equal(await store.put(key, small, { ifAbsent: true }, signal), 'conflict')
    t.equal((await store.head(key, signal))!.tag, head.tag, 'which changes nothing')
    t.equal(await store.put('none', small, { ifTag: head.tag }, signal), 'conflict')
    t.equal(await store.put(key, small, { ifTag: head.tag }, signal), 'stored')
    t.equal(await store.put(key, large, { ifTag: head.tag }, signal), 'conflict', 'the tag is that of before')
    t.equal((await store.head(key, signal))!.bytes, 5)
    t.equal(await store.put(key, large, undefined, signal), 'stored', 'without a condition')

    // Amazon's servers compare digests, moto doesn't.
    if (kind === 'gcs') {
      const broken = { ...small, read: () => contentOf(Buffer.from('smell')).read() }
      await t.rejects(store.put('broken', broken, { ifAbsent: true }, signal), /^gs:\/\/models\/log\/broken: HTTP 400/)
      t.equal(await store.head('broken', signal), undefined, 'content without its digest is not kept')
    }

    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'theirs'), 'theirs')
    await started.put('log/theirs', join(folder, 'theirs'))
    const theirs = (await store.head('theirs', signal))!
    t.equal(theirs.bytes, 6)
    t.equal(theirs.sha256 ?? theirs.md5, kind === 's3' ? undefined : contentOf(Buffer.from('theirs')).md5)
    await store.put('ours', small, { ifAbsent: true }, signal)
    await started.get('log/ours', join(folder, 'ours'))
    t.equal(await readFile(join(folder, 'ours'), 'utf8'), 'small')

    t.same(await listed(store), [
      [key, large.bytes],
      ['ours', 5],
      ['theirs', 6],
    ])
    const gone = new AbortController()
    gone.abort(new Error('stopped'))
    await t.rejects(store.put('stopped', large, undefined, gone.signal), { message: 'stopped' })
    const other = (await openBucket(`${kind === 's3' ? 's3' : 'gs'}://nowhere`, true))!
    await t.rejects(other.put('x', small, { ifAbsent: true }, signal), /NoSuchBucket|HTTP 404/)
  })
