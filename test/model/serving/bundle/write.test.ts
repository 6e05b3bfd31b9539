import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { type NewBundle, writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'

const bundle: NewBundle = {
  manifest: {
    manifest: 1,
    name: 'm',
    version: '1',
    features: [{ name: 'x', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' }],
    tasks: [{ name: 'ctr' }],
    derived: [],
    graph: { format: 'layers', file: 'model.json', inputs: { dense: 'dense' }, outputs: { probabilities: 'p' } },
    precision: 'float32',
  },
  files: { 'model.json': Buffer.from('{}'), 'weights/1.bin': Uint8Array.of(1, 2, 3) },
}

t.test('writes what reading verifies', async (t) => {
  const root = t.testdir({})
  await writeBundle(join(root, 'm/1'), bundle)
  const { manifest } = await readBundle(root, 'm', '1')
  t.match(manifest, { name: 'm', version: '1' })
  t.equal(manifest.files['weights/1.bin'], '039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81')
  t.same([...(await readFile(join(root, 'm/1/weights/1.bin')))], [1, 2, 3])
  t.same(await readdir(join(root, 'm')), ['1'])
})

t.test('an existing version stays as it is unless it is to be replaced', async (t) => {
  const root = t.testdir({})
  await writeBundle(join(root, 'm/1'), bundle)
  const changed = { ...bundle, manifest: { ...bundle.manifest, description: 'new' } }
  await t.rejects(writeBundle(join(root, 'm/1'), changed), { code: 'INVALID_BUNDLE', message: /m\/1 exists already/ })
  t.notOk((await readBundle(root, 'm', '1')).manifest.description)
  await writeBundle(join(root, 'm/1'), changed, { replace: true })
  t.equal((await readBundle(root, 'm', '1')).manifest.description, 'new')
  await writeBundle(
    join(root, 'm/2'),
    { ...changed, manifest: { ...changed.manifest, version: '2' } },
    { replace: true },
  )
  t.same(await readdir(join(root, 'm')), ['1', '2'], 'nothing is left beside them')
})

t.test('refuses what could not be read again, and leaves nothing', async (t) => {
  const root = t.testdir({ file: '' })
  const wrong = (manifest: object, files = bundle.files) =>
    writeBundle(join(root, 'm/1'), { manifest: { ...bundle.manifest, ...manifest }, files })
  await t.rejects(wrong({ version: '0' }), { code: 'INVALID_BUNDLE', message: /manifest.json: \/version/ })
  await t.rejects(wrong({}, {}), { code: 'INVALID_BUNDLE', message: /\/graph\/file is not among \/files/ })
  for (const path of ['../out', '/out', 'a/../../out', './manifest.json']) {
    await t.rejects(
      wrong({}, { ...bundle.files, [path]: Uint8Array.of(1) }),
      { code: 'INVALID_BUNDLE', message: /can't be a file/ },
      path,
    )
  }
  await t.rejects(writeBundle(join(root, 'file/1'), bundle), { code: 'EEXIST' })
  t.same(await readdir(root), ['file'])
})

t.test('a version for which there is no room is named, and leaves nothing', async (t) => {
  const root = t.testdir({})
  const url = new URL('../../../../src/model/serving/bundle/write.js', import.meta.url)
  const big = { ...bundle, files: { 'model.json': '' } }
  const script = `
    const { writeBundle } = await import(${JSON.stringify(url.href)})
    const bundle = { ...${JSON.stringify(big)}, files: { 'model.json': new Uint8Array(1_000_000) } }
    await writeBundle(${JSON.stringify(join(root, 'm/1'))}, bundle).catch(({ message }) => console.log(message))`
  // No file may be larger than 64 blocks of 512 or 1,024 bytes.
  const command = 'ulimit -f 64; exec "$0" --input-type=module -e "$1"'
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, script])
  t.equal(stdout, `${join(root, 'm/1')} can't be written: EFBIG: file too large\n`)
  t.same(await readdir(join(root, 'm')), [])
})
