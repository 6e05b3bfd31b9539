import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { external } from '../../../../src/model/graph/ir/external-data.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { parseManifest } from '../../../../src/model/serving/bundle/manifest.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const graph = 'the graph'
const weights = 'the weights'
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

function manifestOf(changes: Partial<Manifest> = {}): Manifest {
  return exampleManifest({ files: { 'model.onnx': sha256(graph), 'data/weights.bin': sha256(weights) }, ...changes })
}

/** A models' folder that holds ads/1, good but for `files` and `manifest`. */
async function models(
  t: Test,
  { manifest = JSON.stringify(manifestOf()), files = {} }: { manifest?: string; files?: Record<string, string> } = {},
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'multigate-read-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const all = { 'manifest.json': manifest, 'model.onnx': graph, 'data/weights.bin': weights, ...files }
  for (const [path, text] of Object.entries(all)) {
    const file = join(root, 'ads/1', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return root
}

const refused = (message: string | RegExp) => ({ code: 'INVALID_BUNDLE', message })

t.test('a good bundle is read', async (t) => {
  const root = await models(t)
  t.same(await readBundle(root, 'ads', '1'), { folder: join(root, 'ads/1'), manifest: manifestOf() })
})

t.test('a large manifest is read as a small one is, and lets others have their turns meanwhile', async (t) => {
  const values = (count: number) => Array.from({ length: count }, (_, i) => `value ${i}`)
  const common = { side: 'context', kind: 'vocabulary', out_of_vocabulary: 'error', missing: 'error' } as const
  const features = [50_000, 1, 70_000].map((count, i) => ({ ...common, name: `field_${i}`, values: values(count) }))
  const number = { name: 'n', side: 'context', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' } as const
  const manifest = manifestOf({ features: [...features, number] })
  const root = await models(t, { manifest: JSON.stringify(manifest) })
  let turns = 0
  let over = false
  const turn = () => {
    turns++
    if (!over) setImmediate(turn)
  }
  turn()
  const bundle = await readBundle(root, 'ads', '1').finally(() => {
    over = true
  })
  t.same(bundle.manifest, manifest)
  t.ok(turns > 3 + 1 + 4, `a turn for each piece of at most 20,000 values: ${turns}`)
})

t.test('what is wrong with a large manifest is said as of a small one', async (t) => {
  const values = Array.from({ length: 50_000 }, (_, i) => `value ${i % 49_999}`)
  const field = { name: 'v', side: 'context', kind: 'vocabulary', values }
  const root = await models(t, { manifest: JSON.stringify({ ...manifestOf(), features: [field] }) })
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused(/^ads\/1\/manifest\.json: \/features\/0\/values must not have duplicate/),
  )
  const broken = await models(t, { manifest: `{${' '.repeat(300_000)}` })
  await t.rejects(readBundle(broken, 'ads', '1'), refused(/^ads\/1\/manifest\.json is not JSON/))
})

t.test('files that the manifest does not list do no harm', async (t) => {
  const root = await models(t, { files: { 'README.md': 'hello' } })
  await t.resolves(readBundle(root, 'ads', '1'))
})

t.test('defaults of the format are filled in', async (t) => {
  const { derived: _, precision: __, ...manifest } = manifestOf({ features: [] })
  const text = JSON.stringify({
    ...manifest,
    features: [
      { name: 'v', side: 'context', kind: 'vocabulary', values: ['x'] },
      { name: 'h', side: 'context', kind: 'hash', buckets: 3 },
      { name: 'i', side: 'context', kind: 'integer', size: 3 },
      { name: 'n', side: 'context', kind: 'numeric', scaling: { method: 'log1p' } },
    ],
    golden: { rows: [{}], probabilities: [[0, 1]] },
  })
  const filled = parseManifest(text, 'manifest.json')
  t.same(filled.features, [
    { name: 'v', side: 'context', kind: 'vocabulary', values: ['x'], out_of_vocabulary: 'bucket', missing: 'error' },
    { name: 'h', side: 'context', kind: 'hash', buckets: 3, seed: 0, missing: 'error' },
    { name: 'i', side: 'context', kind: 'integer', size: 3, out_of_vocabulary: 'bucket', missing: 'error' },
    { name: 'n', side: 'context', kind: 'numeric', scaling: { method: 'log1p', scale: 1 }, missing: 'error' },
  ])
  t.same(filled.derived, [])
  t.equal(filled.precision, 'float32')
  t.equal(filled.golden?.tolerance, 1e-5)
})

t.test('a hash is kept, has a seed where there is one, and is refused with one where there is none', async (t) => {
  const common = { side: 'context', kind: 'hash', buckets: 3 }
  const number = { name: 'n', side: 'context', kind: 'numeric', scaling: { method: 'none' } }
  const parse = (...features: object[]) =>
    parseManifest(
      JSON.stringify({ ...manifestOf({ features: [] }), features: [...features, number] }),
      'manifest.json',
    ).features.slice(0, -1)
  const farmhash = { ...common, name: 'f', hash: 'farmhash64' }
  t.same(parse(farmhash, { ...common, name: 'x', hash: 'xxhash64' }), [
    { ...farmhash, missing: 'error' },
    { ...common, name: 'x', hash: 'xxhash64', seed: 0, missing: 'error' },
  ])
  for (const seed of [0, 7])
    t.throws(() => parse({ ...common, name: 'm' }, { ...farmhash, seed }), {
      code: 'INVALID_BUNDLE',
      message: 'manifest.json: /features/1/seed must be left out: farmhash64 has no seed',
    })
  t.throws(() => parse({ ...common, name: 'x', hash: 'xxhash' }), {
    message: 'manifest.json: /features/0/hash must be "murmur3" or "farmhash64" or "xxhash64"; did you mean xxhash64?',
  })
})

t.test('a version without a manifest is refused', async (t) => {
  const root = await models(t)
  await t.rejects(readBundle(root, 'ads', '2'), refused(/^ads\/2\/manifest\.json can't be read: it is missing/))
})

t.test('a manifest that is a folder is refused', async (t) => {
  const root = await models(t)
  await mkdir(join(root, 'ads/3/manifest.json'), { recursive: true })
  await t.rejects(readBundle(root, 'ads', '3'), refused(/^ads\/3\/manifest\.json can't be read: EISDIR/))
})

t.test('a manifest larger than any should be is refused', async (t) => {
  const root = await models(t)
  await truncate(join(root, 'ads/1/manifest.json'), 256 * 1024 * 1024 + 1)
  await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/manifest.json is larger than 268435456 bytes'))
})

t.test('pipes and devices are refused, not waited for', { skip: process.platform === 'win32' }, async (t) => {
  const root = await models(t)
  await rm(join(root, 'ads/1/manifest.json'))
  execFileSync('mkfifo', [join(root, 'ads/1/manifest.json')])
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/manifest\.json can't be read: it is a pipe/))
  const other = await models(t)
  await rm(join(other, 'ads/1/model.onnx'))
  execFileSync('mkfifo', [join(other, 'ads/1/model.onnx')])
  await t.rejects(readBundle(other, 'ads', '1'), refused(/^ads\/1\/model\.onnx can't be read: it is a pipe/))
})

t.test('a manifest too deep to be checked is refused by name', async (t) => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const manifest = JSON.stringify(manifestOf()).replace(/"values":\[/, `$&${deep},`)
  t.match(manifest, '[[[')
  const root = await models(t, { manifest })
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/manifest\.json /))
})

t.test('malformed JSON is refused', async (t) => {
  const root = await models(t, { manifest: '{ "manifest": 1,' })
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/manifest\.json is not JSON: /))
})

for (const text of ['null', '[]', '3', '"x"']) {
  t.test(`a manifest that is ${text} is refused`, async (t) => {
    const root = await models(t, { manifest: text })
    await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/manifest.json: / must be an object'))
  })
}

type Malformed = [what: string, changes: object, message: RegExp]
const malformed: Malformed[] = [
  ['of another format', { manifest: 2 }, /: \/manifest must be 1$/],
  ['with a name that is no name', { name: '../x' }, /: \/name must match pattern/],
  ['with a version that is no number', { version: '01' }, /: \/version must match pattern/],
  ['with a version that is a number', { version: 1 }, /: \/version must be a string/],
  ['without features', { features: [] }, /: \/features must have at least 1 item/],
  ['without tasks', { tasks: [] }, /: \/tasks must have at least 1 item/],
  ['with a reserved task', { tasks: [{ name: 'score' }] }, /: \/tasks\/0\/name must match pattern/],
  ...['__proto__', 'a\u0085b'].map(
    (name): Malformed => [
      `with a field that no request can name, ${JSON.stringify(name)}`,
      { features: [{ ...exampleManifest().features[0]!, name }] },
      /: \/features\/0\/name must match pattern .* \(Name of the field in requests, .* `__proto__` are reserved\)/,
    ],
  ),
  ['with a reserved field', { features: [{ ...exampleManifest().features[0]!, name: 'id' }] }, /\/features\/0\/name/],
  ['with a field of no known kind', { features: [{ name: 'x', side: 'context', kind: 'image' }] }, /\/features\/0/],
  ['with a precision that is none', { precision: 'int4' }, /: \/precision must be "float32" or "bfloat16" or "int8"/],
  [
    'with no quantization rows, but a file of them',
    { quantization: { file: 'model.onnx', rows: 0, labels: true } },
    /: \/quantization\/rows must be at least 1/,
  ],
  [
    'with quantization rows outside its folder',
    { quantization: { file: '../q.bin', rows: 1, labels: true } },
    /: \/quantization\/file must match pattern/,
  ],
  ['without a graph', { graph: undefined }, /: \/graph is required/],
  ['with more than a manifest has', { colour: 'red' }, /\/colour|additional properties/],
  ['with a checksum that is none', { files: { 'model.onnx': 'ABC' } }, /: \/files\/model\.onnx must match pattern/],
  [
    'with a graph outside its folder',
    { graph: { ...exampleManifest().graph, file: '../model.onnx' } },
    /: \/graph\/file must match pattern/,
  ],
  [
    'with a graph of an absolute path',
    { graph: { ...exampleManifest().graph, file: '/model.onnx' } },
    /: \/graph\/file must match pattern/,
  ],
]
for (const [what, changes, message] of malformed) {
  t.test(`a manifest ${what} is refused with the place`, async (t) => {
    const root = await models(t, { manifest: JSON.stringify({ ...manifestOf(), ...changes }) })
    await t.rejects(readBundle(root, 'ads', '1'), refused(message))
    await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/manifest\.json: /))
  })
}

t.test('all that is wrong is told at once', async (t) => {
  const text = JSON.stringify({ ...manifestOf(), name: '', tasks: [], derived: 3 })
  t.throws(() => parseManifest(text, 'm'), refused(/^m: (?=.*\/name )(?=.*\/tasks )(?=.*\/derived )/))
})

t.test('a message names a problem of many tasks once, and at most ten problems', async (t) => {
  const tasks = Array.from({ length: 30 }, () => ({ name: 'ctr' }))
  t.throws(() => parseManifest(JSON.stringify(manifestOf({ tasks, derived: [] })), 'm'), {
    message: 'm: /tasks/1/name is used twice (and 28 more places)',
  })
  const derived = Array.from({ length: 30 }, (_, i) => ({ name: `d${i}`, product: [`t${i}`] }))
  t.throws(() => parseManifest(JSON.stringify(manifestOf({ derived })), 'm'), {
    message: /^m: (?:\/derived\/\d+\/product\/0 is not a task: [^;]*; [^;]*; ){10}and 20 more problems$/,
  })
})

t.test('a manifest that contradicts itself is refused with the place', async (t) => {
  const manifest = JSON.stringify(manifestOf({ tasks: [{ name: 'ctr' }, { name: 'ctr' }, { name: 'cvr' }] }))
  const root = await models(t, { manifest })
  await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/manifest.json: /tasks/1/name is used twice'))
})

t.test('a manifest of another model is refused', async (t) => {
  const root = await models(t, { manifest: JSON.stringify(manifestOf({ name: 'other' })) })
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused('ads/1/manifest.json: /name is "other", but the folder is called ads'),
  )
})

t.test('a manifest of another version is refused', async (t) => {
  const root = await models(t, { manifest: JSON.stringify(manifestOf({ version: '12' })) })
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused('ads/1/manifest.json: /version is "12", but the folder is called 1'),
  )
})

t.test('a missing file is refused', async (t) => {
  const root = await models(t)
  await rm(join(root, 'ads/1/data/weights.bin'))
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/data\/weights\.bin can't be read: it is missing/))
})

t.test('a file that is a folder is refused', async (t) => {
  const root = await models(t)
  await rm(join(root, 'ads/1/model.onnx'))
  await mkdir(join(root, 'ads/1/model.onnx'))
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/model\.onnx can't be read: EISDIR/))
})

t.test('a damaged file is refused with both checksums', async (t) => {
  const root = await models(t, { files: { 'data/weights.bin': 'The weights' } })
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused(
      `ads/1/data/weights.bin is damaged: its SHA-256 is ${sha256('The weights')}, the manifest says ${sha256(weights)}`,
    ),
  )
})

t.test(
  'a large file, which is read in a thread, is refused with both checksums, or with why it can not be read',
  async (t) => {
    const large = 'weights'.repeat(300_000)
    const root = await models(t, { files: { 'data/weights.bin': large } })
    const checksum = sha256(large)
    await t.rejects(readBundle(root, 'ads', '1'), refused(new RegExp(`its SHA-256 is ${checksum}, the manifest says`)))
    await rm(join(root, 'ads/1/model.onnx'))
    await mkdir(join(root, 'ads/1/model.onnx'))
    await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/model\.onnx can't be read: EISDIR/))
  },
)

t.test('a truncated file is refused', async (t) => {
  const root = await models(t, { files: { 'model.onnx': '' } })
  await t.rejects(readBundle(root, 'ads', '1'), refused(/^ads\/1\/model\.onnx is damaged/))
})

t.test('weights that the graph reads must be listed', async (t) => {
  const graphOf = (...paths: string[]) => JSON.stringify({ weightsManifest: [{ paths, weights: [] }] })
  const listed = { 'graph/model.json': sha256(graphOf('a.bin', 'b.bin')), 'graph/a.bin': sha256('a') }
  const manifest = manifestOf({ graph: { ...manifestOf().graph, format: 'layers', file: 'graph/model.json' } })
  const files = { 'graph/model.json': graphOf('a.bin', 'b.bin'), 'graph/a.bin': 'a', 'graph/b.bin': 'b' }
  const root = await models(t, { manifest: JSON.stringify({ ...manifest, files: listed }), files })
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused('ads/1/manifest.json: /files lacks "b.bin", which graph/model.json reads'),
  )
  const all = { ...manifest, files: { ...listed, 'graph/b.bin': sha256('b') } }
  await t.resolves(readBundle(await models(t, { manifest: JSON.stringify(all), files }), 'ads', '1'))
})

t.test('so must the external data of an ONNX file', async (t) => {
  const onnx = emptyGraph({ x: floatShape(-1, 2) })
  onnx.constants.set('w', external({ name: 'w', dataType: 1, dims: [2n, 1n] }, 'sub/w.bin', 0, 8))
  answerWith(onnx, onnx.node('MatMul', ['x', 'w']))
  const bytes = Buffer.from(onnx.toBytes())
  const root = await models(t)
  await writeFile(join(root, 'ads/1/model.onnx'), bytes)
  await mkdir(join(root, 'ads/1/sub'))
  await writeFile(join(root, 'ads/1/sub/w.bin'), 'weights!')
  const listed = { 'model.onnx': createHash('sha256').update(bytes).digest('hex') }
  await writeFile(join(root, 'ads/1/manifest.json'), JSON.stringify(manifestOf({ files: listed })))
  await t.rejects(
    readBundle(root, 'ads', '1'),
    refused('ads/1/manifest.json: /files lacks "sub/w.bin", which model.onnx reads'),
  )
  const all = { ...listed, 'sub/w.bin': sha256('weights!') }
  await writeFile(join(root, 'ads/1/manifest.json'), JSON.stringify(manifestOf({ files: all })))
  await t.resolves(readBundle(root, 'ads', '1'))
})

t.test('the example in the documentation is a good manifest', async (t) => {
  const text = await readFile(join(import.meta.dirname, '../../../../../docs/bundles.md'), 'utf8')
  const [, example] = /```json\n(\{\n {2}"manifest": 1,[\s\S]*?)```/.exec(text) ?? []
  const manifest = parseManifest(example!.replaceAll('"…"', `"${'0'.repeat(64)}"`), 'docs/bundles.md')
  const { layout } = createEncoder(manifest.features)
  t.equal(layout.ids, 503)
  const { sparse } = createEncoder(manifest.features).rows(undefined, manifest.golden!.rows, {
    maxRows: 1,
    partial: false,
  })
  t.same([...sparse], [1, 10])
})

t.test('a link that leads out of the folder is refused, though its checksum is right', async (t) => {
  const root = await models(t)
  await writeFile(join(root, 'elsewhere'), graph)
  await rm(join(root, 'ads/1/model.onnx'))
  await symlink('../../elsewhere', join(root, 'ads/1/model.onnx'))
  await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/model.onnx leads out of its folder'))
})

t.test('a link to the folder above is refused', async (t) => {
  const root = await models(t)
  await rm(join(root, 'ads/1/model.onnx'))
  await symlink('..', join(root, 'ads/1/model.onnx'))
  await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/model.onnx leads out of its folder'))
})

t.test('a listed path that leads out of the folder is refused', async (t) => {
  const root = await models(t, {
    manifest: JSON.stringify(manifestOf({ files: { 'model.onnx': sha256(graph), '../elsewhere': sha256(graph) } })),
  })
  await writeFile(join(root, 'ads/elsewhere'), graph)
  await t.rejects(readBundle(root, 'ads', '1'), refused('ads/1/../elsewhere leads out of its folder'))
})

t.test('links within the folder are followed, also through a folder called ..data as in Kubernetes', async (t) => {
  const root = await models(t)
  const folder = join(root, 'ads/1')
  await mkdir(join(folder, '..data'))
  await writeFile(join(folder, '..data/model.onnx'), graph)
  await rm(join(folder, 'model.onnx'))
  await symlink('..data/model.onnx', join(folder, 'model.onnx'))
  await t.resolves(readBundle(root, 'ads', '1'))
})

t.test('the folder itself may be a link', async (t) => {
  const root = await models(t)
  await symlink(root, join(root, 'root'))
  await t.resolves(readBundle(join(root, 'root'), 'ads', '1'))
})

t.test('golden rows may name a field like a property of every object', async (t) => {
  const text = JSON.stringify(manifestOf()).replace(
    '"files":',
    '"golden":{"rows":[{"__proto__":"x"}],"probabilities":[[0.5,0.5]]},"files":',
  )
  t.same(Object.keys(parseManifest(text, 'm').golden?.rows[0] ?? {}), ['__proto__'])
})
