import t, { type Test } from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { openKeras } from '../../../../src/tools/convert/keras/open-keras.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { counted, functional, input, layer, saveKeras } from '../../../support/keras/saved-model.ts'

const tensors = { 'layers/dense/vars/0': counted(4, 2), 'layers/dense/vars/1': counted(2) }
const sound = functional(
  [input('x', 4), layer('Dense', 'out', { units: 2, activation: 'sigmoid' }, ['x'])],
  ['out'],
  ['x'],
)

async function open(t: Test, config: unknown) {
  return openKeras(await saveKeras(t.testdir(), config, tensors), undefined)
}
const refused = async (t: Test, config: unknown, code: string, message: RegExp) =>
  t.rejects(open(t, config), { code, message })

t.test('a class of its own is code that a file does not hold', async (t) => {
  await refused(
    t,
    { class_name: 'TwoTower', config: {} },
    'UNSUPPORTED_GRAPH',
    /model\.keras: config\.json: the class TwoTower is custom Python code.*supported are functional/,
  )
  await refused(
    t,
    { class_name: 'SharedBottom', config: { temperature: 2 } },
    'UNSUPPORTED_GRAPH',
    /SharedBottom has the option temperature, which is not supported/,
  )
})

t.test('config.json that is none', async (t) => {
  await refused(t, '{"class_name": ', 'INVALID_BUNDLE', /config\.json is not JSON/)
  await refused(t, '[1]', 'INVALID_BUNDLE', /config\.json is not a JSON object/)
  await refused(t, {}, 'INVALID_BUNDLE', /is not a supported Keras model: /)
  await refused(
    t,
    `{"class_name": "Functional", "config": ${'['.repeat(100_000)}`,
    'INVALID_BUNDLE',
    /not JSON|can't be read/,
  )
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const reshape = JSON.stringify(
    functional([input('x', 4), layer('Reshape', 'out', { target_shape: 0 }, ['x'])], ['out']),
  )
  await refused(t, reshape.replace('"target_shape":0', `"target_shape":${deep}`), 'INVALID_BUNDLE', /can't be read/)
})

t.test('a million layers', async (t) => {
  const layers = `{"class_name":"ReLU","config":{},"name":"x","inbound_nodes":[]},`.repeat(100_000)
  await refused(
    t,
    `{"class_name":"Functional","config":{"layers":[${layers.slice(0, -1)}]}}`,
    'INVALID_BUNDLE',
    /\/layers must have at most 10000 items/,
  )
  await refused(t, `{"a":"${' '.repeat(17 * 1024 * 1024)}"}`, 'INVALID_BUNDLE', /config\.json has \d+ bytes/)
})

t.test('tensors that grow from layer to layer', async (t) => {
  const doubled = Array.from({ length: 40 }, (_, i) =>
    layer('Concatenate', i === 39 ? 'out' : `c${i}`, { axis: -1 }, [
      i === 0 ? 'x' : `c${i - 1}`,
      i === 0 ? 'x' : `c${i - 1}`,
    ]),
  )
  await refused(t, functional([input('x', 4), ...doubled], ['out']), 'UNSUPPORTED_GRAPH', /compute more than/)
  const product = [layer('Dot', 'out', { axes: [2, 2] }, ['x', 'x'])]
  await refused(
    t,
    functional([input('x', 2000, 500), ...product], ['out']),
    'UNSUPPORTED_GRAPH',
    /which exceeds 67108864 products/,
  )
  await refused(
    t,
    functional([input('out', 5000)], ['out']),
    'UNSUPPORTED_GRAPH',
    /has 5000 columns; a model can have at most 4096/,
  )
})

t.test('a configuration changed anywhere is refused, or read, and nothing else', async (t) => {
  const text = JSON.stringify(sound)
  t.ok(await open(t, text))
  const pieces = ['null', '[]', '{}', '-1', '1e99', '"x"', 'true', '', ',', '"__proto__"']
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.nat(12), fc.constantFrom(...pieces), async (at, length, piece) => {
      const changed = text.slice(0, at) + piece + text.slice(at + length)
      const result = await open(t, changed).catch((error: unknown) => error)
      return !(result instanceof Error) || result instanceof ModelError
    }),
    { numRuns: randomCases(150) },
  )
})
