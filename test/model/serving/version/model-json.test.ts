import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { formatOfModelJson } from '../../../../src/model/serving/version/model-json.ts'

const large = 3_000_000
const cases = {
  'a graph model': ['{"format":"graph-model"}', 'graph_model'],
  'a graph model without a format': ['{"modelTopology":{"node":[]}}', 'graph_model'],
  'a layers model': ['{"format":"layers-model"}', 'layers'],
  'a large graph model whose format comes last': [`{"x":"${' '.repeat(large)}","format":"graph-model"}`, 'graph_model'],
  null: ['null', 'layers'],
} as const

for (const [name, [text, format]] of Object.entries(cases)) {
  t.test(name, async (t) => {
    const path = join(t.testdir({ 'model.json': text }), 'model.json')
    t.equal(await formatOfModelJson(path, 'ads/1/model.json'), format)
  })
}

for (const [name, text] of [
  ['small', '['],
  ['large', '['.repeat(large)],
] as const) {
  t.test(`${name} text that is not JSON is refused`, async (t) => {
    const path = join(t.testdir({ 'model.json': text }), 'model.json')
    await t.rejects(formatOfModelJson(path, 'ads/1/model.json'), {
      code: 'INVALID_BUNDLE',
      message: 'ads/1/model.json is not JSON',
      transient: false,
    })
  })
}

t.test('a large file is not parsed in the calling thread', async (t) => {
  const path = join(t.testdir(), 'model.json')
  await writeFile(path, '['.repeat(large))
  const { parse } = JSON
  t.teardown(() => {
    JSON.parse = parse
  })
  JSON.parse = () => t.fail('parsed here')
  await t.rejects(formatOfModelJson(path, 'ads/1/model.json'), { message: 'ads/1/model.json is not JSON' })
})

t.test('a file that is missing may be there on the next try', async (t) => {
  await t.rejects(formatOfModelJson(join(t.testdir(), 'model.json'), 'ads/1/model.json'), {
    code: 'INVALID_BUNDLE',
    message: "ads/1/model.json can't be read: it is missing",
    transient: true,
  })
})
