import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type ProcessorClass, processorClasses } from '../../src/base/processor.ts'
import { defaultLibrary } from '../../src/model/graph/onednn/find-library.ts'
import { suitabilityOf } from '../../src/model/graph/onednn/instructions.ts'
import type { Entity } from '../../src/schemas/entities.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli } from '../support/cli.ts'
import { cli } from '../support/entries.ts'
import { cannotPlay, playing } from '../support/processor.ts'
import { writeTable } from '../support/tables.ts'

/** In a process of its own, since a process looks for oneDNN once. */
function doctor(variables: Record<string, string>): Promise<{ code: number; text: string }> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_')))
  return new Promise((resolve) => {
    // The limit of this machine is its own.
    execFile(
      'sh',
      ['-c', 'ulimit -n 4096; exec "$0" "$@"', process.execPath, cli, 'doctor'],
      { env: { ...env, MULTIGATE_MAX_CONNECTIONS: '1000', ...variables } },
      (error, stdout) => resolve({ code: Number(error?.code ?? 0), text: stdout }),
    )
  })
}

t.test('a machine on which all is well', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { code, text } = await doctor({
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(models, 'cache'),
    MULTIGATE_WORKERS: '3',
    MULTIGATE_TRACES_ENDPOINT: 'http://me:secret@collector:4318',
  })
  t.match(text, /^multigate \d+\.\d+\.\d+, Node v\d+/)
  for (const line of [
    /\d of \d+ cores available; /,
    /^ok {5}MULTIGATE_WORKERS: 3$/m,
    /^ok {5}MULTIGATE_TRACES_ENDPOINT: http:\/\/…@collector:4318$/m,
    /^ok {5}engine: onnx/m,
    /^ok {5}oneDNN: (\d+\.\d+\.\d+, A\S+( for int8 alone)?|not used: \S.*)$/m,
    /^ok {5}plan cache: \S+cache, .* free$/m,
  ])
    t.match(text, line)
  t.notMatch(text, /MULTIGATE_PORT/, 'defaults are not listed')
  t.match(text, /^ok {5}models: \S+, 2 models$|^ok {5}models: \S+, 1 model$/m)
  t.equal(code, 0, text)
  t.match(text, /All checks passed\.\n$/)
})

/** In this process, for which oneDNN stays off. */
async function doctorHere(variables: Record<string, string>): Promise<{ code: number; text: string }> {
  const settings = { MULTIGATE_MAX_CONNECTIONS: '1000', MULTIGATE_ONEDNN: 'off', ...variables }
  const { code, stdout } = await runCli(['doctor'], settings)
  return { code, text: stdout }
}

const all = 'avx512f avx512_vnni avx512_bf16 amx_int8 amx_bf16'.split(' ')
const unmasked = 'or ONEDNN_MAX_CPU_ISA masks'

/** Doctor's words on the processor: how many of these features it has, and the line about oneDNN. */
const said: Record<ProcessorClass, [features: number, onednn: string]> = {
  AVX2: [0, `not used: the processor has no AVX-512, ${unmasked} it (this processor does not suit it)`],
  AVX2_VNNI: [0, `not used: the processor has no AVX-512, ${unmasked} it (this processor does not suit it)`],
  AVX512_CORE: [
    1,
    `not used: the processor has neither AMX nor AVX512-VNNI, ${unmasked} them (this processor does not suit it)`,
  ],
  AVX512_CORE_VNNI: [2, 'VERSION, AVX512-VNNI, for int8 alone'],
  AVX512_CORE_BF16: [3, 'VERSION, AVX512-BF16'],
  AVX512_CORE_AMX: [5, 'VERSION, AMX'],
}

for (const name of processorClasses)
  t.test(`a processor of the class ${name}`, { skip: cannotPlay(name) ?? false }, async (t) => {
    const models = await temporaryFolder(t)
    await writeTestBundle(models)
    const settings = { MULTIGATE_MODELS: models, MULTIGATE_CACHE: 'off', ...playing(name) }
    const { code, text } = await doctor(settings)
    const [features, expected] = said[name]
    const [facts = ''] = /^.* cores available; .*$/m.exec(text) ?? []
    t.same(
      all.filter((feature) => facts.includes(`, ${feature}`)),
      all.slice(0, features),
    )
    t.ok(facts.endsWith(`; ONEDNN_MAX_CPU_ISA=${name} allows no wider ones`), facts)
    if (existsSync(defaultLibrary() ?? '')) {
      const [line] = /(?<=^ok {5}oneDNN: ).*$/m.exec(text) ?? [text]
      t.equal(line.replace(/^3\.\d+\.\d+/, 'VERSION'), expected)
    }
    t.equal(code, 0, text)
    const off = await doctorHere(settings)
    const isOff = `ok     oneDNN: not used: MULTIGATE_ONEDNN is off (this processor ${suitabilityOf(name)})`
    t.ok(off.text.split('\n').includes(isOff), off.text)
  })

t.test('every fault is named, and no secret is read out', async (t) => {
  const folder = await temporaryFolder(t)
  const keys = join(folder, 'keys.json')
  writeFileSync(keys, '{"keys": [{"id": "a", "sha256": "not one: hunter2"}]}')
  const { code, text } = await doctor({
    MULTIGATE_MODELS: join(folder, 'none'),
    MULTIGATE_CACHE: join(keys, 'plans'),
    MULTIGATE_HOST: '0.0.0.0',
    MULTIGATE_KEYS: keys,
    MULTIGATE_TLS_CERT: join(folder, 'none.crt'),
    MULTIGATE_ONEDNN: join(folder, 'libdnnl.so.3'),
    MULTIGATE_MAX_CONNECTIONS: '4000',
    MULTIGATE_MODLES: 'typo',
  })
  t.equal(code, 1)
  for (const line of [
    /^FAILED MULTIGATE_MODLES: is not a setting$/m,
    /^FAILED oneDNN: MULTIGATE_ONEDNN: there is no file \S+libdnnl\.so\.3$/m,
    /^FAILED models: \S+none is missing$/m,
    /^FAILED plan cache: \S+plans can't be written: \S+ is not a folder$/m,
    /^FAILED keys: the file of keys \S+ can't be used: \/keys\/0\//m,
    /^FAILED certificate: MULTIGATE_TLS_CERT needs MULTIGATE_TLS_KEY/m,
    /^FAILED open files: the limit of open files is 4096, and MULTIGATE_MAX_CONNECTIONS=4000 needs 4400: /m,
    /^7 of \d+ checks failed\.$/m,
  ])
    t.match(text, line)
  t.notMatch(text, /hunter2/)
  const wrong = await doctorHere({
    MULTIGATE_PORT: 'abc',
    MULTIGATE_WORKERS: '-1',
    MULTIGATE_MODELS: join(folder, 'none'),
    MULTIGATE_CACHE: '/proc/plans',
  })
  for (const line of [
    /^FAILED settings: MULTIGATE_PORT must be an integer, not "abc"$/m,
    /^FAILED settings: MULTIGATE_WORKERS must be /m,
    // The others are judged as they are set.
    /^FAILED models: \S+none is missing$/m,
    /^FAILED plan cache: \/proc\/plans can't be written: E/m,
  ])
    t.match(wrong.text, line)
})

t.test('oneDNN is optional, but not where it is named', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  const settings = { MULTIGATE_MODELS: folder, MULTIGATE_CACHE: 'off', XDG_CACHE_HOME: folder }
  const none = await doctor(settings)
  t.equal(none.code, 0, none.text)
  t.match(
    none.text,
    /^ok {5}oneDNN: not used: oneDNN is not installed: `node scripts\/setup-onednn\.mjs` in the folder of multigate installs it \(this processor .+\)$/m,
  )
  const off = await doctorHere(settings)
  t.equal(off.code, 0, off.text)
  t.match(off.text, /^ok {5}oneDNN: not used: MULTIGATE_ONEDNN is off \(this processor .+\)$/m)
  const library = join(folder, 'libdnnl.so.3')
  writeFileSync(library, 'damaged')
  const damaged = await doctor({ ...settings, MULTIGATE_ONEDNN: library })
  t.equal(damaged.code, 1)
  t.match(damaged.text, /^FAILED oneDNN: .+/m)
})

t.test('tables are checked with their bytes, and models for those that they name', async (t) => {
  const models = await temporaryFolder(t)
  const shared = { key: 'ad_id', side: 'candidate', features: ['price'], unknown: 'defaults' } satisfies Partial<Entity>
  const entity = (table: string): Entity => ({ ...shared, table })
  await writeTestBundle(models, { manifest: { entities: { ad: entity('ads') } } })
  const write = (table: string) => writeTable(models, table, [{ id: 'a', price: 1.5 }])
  await write('ads')
  await write('ads')
  await write('spare')
  const building = join(models, '.tables/spare/.building-1234')
  mkdirSync(building)
  const settings = { MULTIGATE_MODELS: models, MULTIGATE_CACHE: 'off' }
  const good = await doctorHere(settings)
  t.match(good.text, /^ok {5}table ads: 2 versions, the last of 1 rows, \d+ B; read by ads\/1$/m)
  t.match(good.text, /^ok {5}table spare: 1 version, the last of 1 rows, \d+ B; no model reads it$/m)
  t.equal(good.code, 0, good.text)

  await writeTestBundle(models, { name: 'other', manifest: { entities: { ad: entity('lost') } } })
  await write('changed')
  mkdirSync(join(models, '.tables/changed/1/deltas'))
  writeFileSync(join(models, '.tables/changed/1/deltas/delta-1.bin'), 'damaged')
  utimesSync(building, 1, 1)
  mkdirSync(join(models, '.tables/ads/3'))
  truncateSync(join(models, '.tables/ads/1/rows.bin'), 3)
  const rows = join(models, '.tables/ads/2/rows.bin')
  writeFileSync(rows, readFileSync(rows).fill(1))
  // The checksum of what can't be true is right.
  const spare = join(models, '.tables/spare/1')
  const description = JSON.parse(readFileSync(join(spare, 'table.json'), 'utf8'))
  const empty = Buffer.alloc(description.files['index.bin'].bytes)
  writeFileSync(join(spare, 'index.bin'), empty)
  description.files['index.bin'].sha256 = createHash('sha256').update(empty).digest('hex')
  writeFileSync(join(spare, 'table.json'), JSON.stringify(description))
  const bad = await doctorHere(settings)
  for (const line of [
    /^FAILED table spare: \S+spare\/1 has an index of other rows than it has$/m,
    /^FAILED table ads: \S+ads\/1\/rows\.bin has 3 bytes, and its description says \d+$/m,
    /^FAILED table ads: \.tables\/ads\/2\/rows\.bin is damaged: its SHA-256 is /m,
    /^FAILED table ads: \S+ads\/3\/table\.json: it is missing$/m,
    /^FAILED table lost: other\/1 names it, and \S+lost holds no version of it$/m,
    /^FAILED table spare: \S+spare\/\.building-1234 was left behind by an import that was stopped: remove it$/m,
    /^FAILED table changed: \S+changed\/1\/deltas\/delta-1\.bin and later deltas have no effect: .*no delta file$/m,
    /^7 of \d+ checks failed\.$/m,
  ])
    t.match(bad.text, line)
  t.equal(bad.code, 1)

  const key = join(models, 'keys.pem')
  writeFileSync(key, generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }))
  const unsigned = await doctorHere({ ...settings, MULTIGATE_MODEL_KEYS: key })
  t.match(unsigned.text, /^FAILED table spare: \.tables\/spare\/1\/table\.json\.sig is missing; /m)
  const keyless = await doctorHere({ ...settings, MULTIGATE_MODEL_KEYS: join(models, 'none.pem') })
  t.match(keyless.text, /^FAILED tables: MULTIGATE_MODEL_KEYS: \S+none\.pem is missing$/m)
})
