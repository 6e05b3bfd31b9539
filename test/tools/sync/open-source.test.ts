import { createHash } from 'node:crypto'
import t from 'tap'
import { openSource } from '../../../src/tools/sync/open-source.ts'
import { openOci, parseOciManifest, parseOciReference } from '../../../src/tools/sync/sources/oci.ts'

t.test('each kind of source by its address, without credentials in its name', async (t) => {
  const names = {
    models: 'models',
    '/mnt/models': '/mnt/models',
    'file:///mnt/my%20models': '/mnt/my models',
    'https://models.example.com/ads/': 'https://models.example.com/ads',
    'https://me:secret@models.example.com': 'https://models.example.com',
    's3://bucket': 's3://bucket',
    's3://bucket//a/b/': 's3://bucket/a/b',
    'gs://bucket/a': 'gs://bucket/a',
    'oci://registry.example.com:5000/team/models': 'oci://registry.example.com:5000/team/models:latest',
  }
  for (const [address, name] of Object.entries(names)) t.equal((await openSource(address, {})).name, name)
})

t.test('an address that is refused is shown without its password', async (t) => {
  const messages: Record<string, string> = {
    'https://me:se/cret@host/x': 'https://…@host/x is not a URL, such as https://models.example.com/ads',
    'https://me:s@cret@:x/': 'https://…@:x/ is not a URL, such as https://models.example.com/ads',
    'ftp://me:secret@host/a@b': 'ftp://…@host/a@b: sources are folders, https://, s3://, gs:// and oci://',
    'oci://me:secret@host/x': 'oci://…@host/x is not an artefact, such as oci://registry.example.com/team/models:prod',
    's3:///key:secret@bucket': 's3://…@bucket names no bucket, such as s3://bucket/models',
    's3://key:secret@bucket/x': 's3://…@bucket/x names a user; credentials of buckets come from their own tools',
    'gs://key:sec/ret@bucket': 'gs://…@bucket names a user; credentials of buckets come from their own tools',
  }
  for (const [address, message] of Object.entries(messages)) await t.rejects(openSource(address, {}), { message })
  t.equal(
    (await openSource('me:secret@host/models', {})).name,
    '…@host/models',
    'a folder, where https:// was forgotten',
  )
})

t.test('references of artefacts', async (t) => {
  t.same(parseOciReference('host:5000/a/b:prod'), { registry: 'host:5000', repository: 'a/b', reference: 'prod' })
  const digest = `sha256:${'0'.repeat(64)}`
  t.same(parseOciReference(`host/a@${digest}`), { registry: 'host', repository: 'a', reference: digest })
  for (const wrong of ['', 'host', 'host/', 'host/A', 'host/a:b:c', 'host/a@sha256:12', 'u@host/a', 'a?b/c', 'a b/c'])
    t.equal(parseOciReference(wrong), undefined, wrong)
})

t.test('layers are files of models', async (t) => {
  const digest = `sha256:${'1'.repeat(64)}`
  const layer = (title: string | undefined, more: object = {}) => ({
    digest,
    size: 3,
    annotations: { ...(title && { 'org.opencontainers.image.title': title }), ...more },
  })
  const parse = (...layers: object[]) => parseOciManifest(JSON.stringify({ layers }))
  const file = { bytes: 3, sha256: '1'.repeat(64) }
  t.same(parse(layer('index.json'), layer('ads/7/a/b'), layer('ads/7.json'), layer('ads/labels.json')), {
    models: { ads: { versions: { 7: { 'a/b': file } }, files: { '7.json': file, 'labels.json': file } } },
    listsTables: false,
  })
  t.same(parse(layer('ads/7/a'), layer('ads/7/deltas/delta-1.bin')).models.ads, { versions: { 7: { a: file } } })
  t.same(
    parse(layer('ads/7/a'), layer('.tables/index.json'), layer('.tables/ads/3/a'), layer('.tables/ads/3/deltas/x.bin')),
    {
      models: { ads: { versions: { 7: { a: file } } }, '.tables/ads': { versions: { 3: { a: file } } } },
      listsTables: true,
    },
  )
  t.throws(() => parse(layer('.tables/ads/3/a')), /lists no model/)
  for (const wrong of ['.tables/ads', '.tables/ads/3', '.tables/ads/3.json', '.tables/ads/labels.json'])
    t.throws(() => parse(layer('ads/7/a'), layer(wrong)), /\/layers\/1 is titled "\.tables\/ads/, wrong)
  t.throws(() => parse(layer('ads/7/a'), layer('.tables/../3/a')), /"\.\." is not the name of a table/)
  t.throws(() => parse(), /lists no model/)
  t.throws(() => parse(layer('index.json')), /lists no model/)
  t.throws(
    () => parse(layer(undefined)),
    /\/layers\/0 is titled undefined, not as a file such as ads\/7\/manifest\.json/,
  )
  t.throws(() => parse(layer('ads/7/a'), layer('readme')), /\/layers\/1 is titled "readme"/)
  t.throws(() => parse(layer('ads/7/../../x')), /is not a path inside its folder/)
  t.throws(
    () => parse(layer('models', { 'io.deis.oras.content.unpack': 'true' })),
    /is an archive of a folder: push files/,
  )
  const address = `${'x'.repeat(180)} https://me:secret@host`
  t.throws(() => parse(layer(address)), { message: /x https:\/\/…@host", not as a file/ }, 'without passwords')
  t.throws(() => parse(layer('ads/7/a'), layer('ads/7/a')), /\/layers\/1 has the title of another: "ads\/7\/a"/)
  t.throws(() => parseOciManifest('null'), { message: 'is no artefact: the document must be an object' })
  t.throws(() => parseOciManifest(''), /^is not JSON/)
  t.throws(() => parse({ ...layer('ads/7/a'), digest: 'md5:1' }), /is no artefact: \/layers\/0\/digest must/)
  t.same(Object.keys(parse(layer('__proto__/7/a')).models), ['__proto__'])
})

t.test('an artefact that is named by its digest has it', async (t) => {
  const manifest = Buffer.from('{"layers":[]}')
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
  const other = `sha256:${'0'.repeat(64)}`
  const parse = (reference: string, tag?: string) =>
    openOci({ registry: 'host', repository: 'a', reference }).index.parse(manifest, tag)
  t.throws(() => parse(digest), /^lists no model/)
  t.throws(() => parse(other, digest), { message: `is damaged: its digest is ${digest}, not "${other}"` })
  t.throws(() => parse('prod', digest), /^lists no model/)
  t.throws(() => parse('prod', other), /is damaged/)
})
