import t from 'tap'
import { boundsOf, defaultBounds, readJson } from '../../../src/server/body/read-json.ts'
import { fc, randomCases } from '../../support/cases.ts'

const refusal = (message: string | RegExp) => ({ code: 'INVALID_REQUEST', problems: [{ path: '', message }] })

t.test('any JSON is read as JSON.parse reads it, with a byte order mark or without', async (t) => {
  const json = fc.json({ maxDepth: 3 }).filter((text) => !text.includes('__proto__'))
  fc.assert(
    fc.property(json, fc.boolean(), fc.boolean(), (text, marked, escaped) => {
      // Escapes take another way.
      const written = escaped ? `["\\u0061",${text}]` : text
      t.same(readJson(Buffer.from(marked ? `\ufeff${written}` : written)), JSON.parse(written))
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('what is no JSON is refused, and why', async (t) => {
  t.throws(() => readJson(Buffer.alloc(0)), refusal('must be JSON; it is empty'))
  t.throws(() => readJson(Buffer.from([0x22, 0xff, 0x22])), refusal('must be UTF-8'))
  for (const text of ['{', '{"a":1}}', '\ufeff', '\ufeff\ufeff1', 'nul', '"\\u00"', '"\n"'])
    t.throws(() => readJson(Buffer.from(text)), refusal(/^must be JSON: /), JSON.stringify(text))
})

t.test('a key that reaches into a prototype is refused at any depth, written in any way', async (t) => {
  for (const key of ['__proto__', '\\u005f_proto__', '__proto\\u005F\\u005f'])
    for (const text of [`{"${key}":null}`, `[{"a":[{"${key}":{"x":1}}]}]`])
      t.throws(() => readJson(Buffer.from(text)), refusal(/^must be JSON: /), text)
  t.same(readJson(Buffer.from('["__proto__",{"constructor":{"prototype":"\\u0061"}}]')), [
    '__proto__',
    { constructor: { prototype: 'a' } },
  ])
})

t.test('brackets by the million are refused before they are parsed; those in strings are text', async (t) => {
  const deep = refusal('must be JSON of at most 1000 arrays and objects in each other')
  t.throws(() => readJson(Buffer.from(`{"context":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)), deep)
  t.throws(() => readJson(Buffer.from('{"a":'.repeat(100_000))), deep)
  const text = `"${'[{\\"'.repeat(100_000)}"`
  t.same(readJson(Buffer.from(`{"context":${text}}`)), { context: JSON.parse(text) })
  const wide = Array.from({ length: 100_000 }, () => [1])
  t.same(readJson(Buffer.from(JSON.stringify(wide))), wide)
})

t.test(
  'different names by the ten thousand are refused before they are parsed; the same ones again are not',
  async (t) => {
    const names = (count: number) => Array.from({ length: count }, (_, i) => `"${i.toString(36)} name" \n: 1`)
    const many = refusal('must be JSON with at most 20000 different names of properties')
    t.throws(() => readJson(Buffer.from(`{"context":{${names(30_000)}}}`)), many)
    const oneEach = names(30_000).map((name) => `{${name}}`)
    t.throws(() => readJson(Buffer.from(`[${oneEach}]`)), many)
    const rows = `[${Array.from({ length: 100 }, () => `{${names(1000)}}`)}]`
    t.same(readJson(Buffer.from(rows)), JSON.parse(rows))
    const texts = `[${names(30_000).map((name) => name.replace(':', ','))}]`
    t.same(readJson(Buffer.from(texts)), JSON.parse(texts), 'texts are no names')
  },
)

t.test('arrays, objects and values without number are refused before they are parsed', async (t) => {
  const containers = refusal('must be JSON with at most 200000 arrays and objects')
  for (const item of ['{}', '[]', '[0]', '{"a":[]}'])
    t.throws(() => readJson(Buffer.from(`[${Array(250_000).fill(item)}]`)), containers, item)
  const values = refusal('must be JSON with at most 2000000 values')
  t.throws(() => readJson(Buffer.from(`[${Array(2_000_001).fill('0')}]`)), values)
  const most = `[${Array(2_000_000).fill('0')}]`
  t.equal((readJson(Buffer.from(most)) as unknown[]).length, 2_000_000)
  const text = `"${'[],'.repeat(1_000_000)}"`
  t.equal(readJson(Buffer.from(text)), JSON.parse(text), 'texts are no arrays')
  const wide = { ...defaultBounds, containers: 300_000 }
  t.equal((readJson(Buffer.from(`[${Array(250_000).fill('{}')}]`), wide) as unknown[]).length, 250_000)
})

t.test('requests of more rows may hold more', async (t) => {
  t.same(boundsOf(10_000), defaultBounds)
  t.match(boundsOf(1_000_000), { depth: 1000, names: 20_000, containers: 20_000_000, values: 200_000_000 })
})
