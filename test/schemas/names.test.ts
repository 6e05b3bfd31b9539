import t from 'tap'
import { Value } from 'typebox/value'
import { NumericField } from '../../src/schemas/features.ts'
import { Graph, ModelName, TaskName, VersionName } from '../../src/schemas/manifest.ts'

const field = (name: string) =>
  Value.Check(NumericField, { name, side: 'context', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' })
const file = (path: string) =>
  Value.Check(Graph, { format: 'onnx', file: path, inputs: {}, outputs: { probabilities: 'p' } })

const names: [what: string, check: (name: string) => boolean, good: string[], bad: string[]][] = [
  [
    'a model',
    (name) => Value.Check(ModelName, name),
    ['ads-funnel', 'A', '0', 'a.b_c', 'x'.repeat(128)],
    ['', '.', '..', '.a', '-a', 'a/b', 'a b', 'ä', 'a\n', 'x'.repeat(129)],
  ],
  [
    'a version',
    (name) => Value.Check(VersionName, name),
    ['1', '10', '9'.repeat(18)],
    ['', '0', '01', '-1', '1.0', '1e3', ' 1', '1\n', '9'.repeat(19)],
  ],
  [
    'a task',
    (name) => Value.Check(TaskName, name),
    ['ctr', 'ID', 'ids', 'task_0', 'constructor', 'x'.repeat(64)],
    ['', 'id', 'bid', 'score', 'index', 'raw', 'gates', 'ecpm', '0a', '_a', '__proto__', 'a-b', 'x'.repeat(65)],
  ],
  [
    'a field',
    field,
    ['price', 'ID', 'ids', 'bid_floor', 'a/b~c', 'constructor', '__proto', 'größe', ' ', 'x'.repeat(128)],
    ['', 'id', 'bid', '__proto__', 'a\u0000', 'a\n', '\u007f', 'a\u009f', 'x'.repeat(129)],
  ],
  [
    'a file',
    file,
    ['model.json', 'a/b/c.bin', '..data/x', 'a..b', '.hidden'],
    ['', '/etc/passwd', '..', '../x', 'a/../b', 'a/..', './x', 'a/./b', 'a\\b', 'a\u0000', `x${'/x'.repeat(300)}`],
  ],
]

for (const [what, check, good, bad] of names) {
  for (const name of good) {
    t.test(`${what} may be called ${JSON.stringify(name)}`, async (t) => {
      t.equal(check(name), true)
    })
  }
  for (const name of bad) {
    t.test(`${what} can't be called ${JSON.stringify(name)}`, async (t) => {
      t.equal(check(name), false)
    })
  }
}
