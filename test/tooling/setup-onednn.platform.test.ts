import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'tap'
import { libraryDigest } from '../../src/model/graph/onednn/find-library.ts'

/* The library that Python's pip fetches; setup.platform.test.ts has the rest of the script. */

const script = join(import.meta.dirname, '../../../scripts/setup-onednn.mjs')
const noOnednn = process.platform === 'linux' && process.arch === 'x64' ? false : 'oneDNN is set up on Linux x64 alone'

/** Runs setup:onednn with a cache of its own; `pip` stands in for Python's. */
function setupOnednn(cache: string, pip?: string) {
  const PATH = pip === undefined ? process.env.PATH : `${pip}${delimiter}${process.env.PATH}`
  const env = { ...process.env, XDG_CACHE_HOME: cache, PATH }
  return spawnSync(process.execPath, [script], { env, encoding: 'utf8' })
}

const lastLine = (text: string) => text.trim().split('\n').at(-1)!

test('setup:onednn fetches the library once', { skip: noOnednn }, async (t) => {
  const cache = t.testdir()
  const first = setupOnednn(cache)
  if (/pip download failed|needs |can't be loaded/.test(first.stderr))
    return t.pass('oneDNN', { skip: lastLine(first.stderr) })
  t.equal(first.status, 0, first.stderr)
  t.match(first.stderr, /oneDNN 3\.\d+\.\d+ works; this processor has /)
  t.same(readdirSync(join(cache, 'multigate')), ['onednn-3.2'])
  t.same(readdirSync(join(cache, 'multigate/onednn-3.2')).sort(), ['LICENSE', 'THIRD-PARTY-PROGRAMS', 'libdnnl.so.3'])
  // The server compares the same digest.
  const library = join(cache, 'multigate/onednn-3.2/libdnnl.so.3')
  t.equal(createHash('sha256').update(readFileSync(library)).digest('hex'), libraryDigest)
  const second = setupOnednn(cache)
  t.equal(second.status, 0, second.stderr)
  t.match(second.stderr, /^setup:onednn: oneDNN 3\.\d+\.\d+ already works; this processor has .+\n$/)
  truncateSync(library, 30_000_000)
  const third = setupOnednn(cache)
  t.equal(third.status, 0, third.stderr)
  t.match(third.stderr, /libdnnl\.so\.3 does not work \(it is damaged\)[\s\S]*oneDNN 3\.\d+\.\d+ works; /)
})

test('setup:onednn refuses another wheel, and leaves nothing behind', { skip: noOnednn }, async (t) => {
  const pip = t.testdir({
    python3: '#!/bin/sh\nfor last; do [ "$before" = --dest ] && echo damaged >"$last/a.whl"; before=$last; done\n:',
  })
  chmodSync(join(pip, 'python3'), 0o755)
  const cache = join(pip, 'cache')
  const { status, stderr } = setupOnednn(cache, pip)
  if (stderr.includes('libgomp')) return t.pass('oneDNN', { skip: lastLine(stderr) })
  t.equal(status, 1)
  t.match(stderr, /failed: the wheel is not the expected one: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}\.$/m)
  t.same(readdirSync(join(cache, 'multigate')), [])
})
