import t from 'tap'
import { pinnedVersions, readMissing } from '../../../loadtest/competitors/installed-competitors.ts'

t.test('a peer that is not ready is missing, with the reason', async (t) => {
  const output = 'fastapi: ready\ntriton: not installed: it needs a Python 3.12 with a shared library\n'
  t.same(
    [...readMissing(['fastapi', 'triton', 'mosec'], output)],
    [
      ['triton', 'not installed: it needs a Python 3.12 with a shared library'],
      ['mosec', 'not installed: its set-up ended early'],
    ],
  )
})

t.test('every package of a peer is pinned', async (t) => {
  for (const peer of ['fastapi', 'mosec', 'rust', 'triton']) {
    const versions = Object.entries(await pinnedVersions(peer))
    t.ok(versions.length >= 3, peer)
    for (const [name, version] of versions) t.match(version, /^\d+(\.\d+)+(-rc\.\d+)?$/, name)
  }
})
