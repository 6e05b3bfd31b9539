import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { elementwise } from '../../../../../src/model/graph/lower/tensorflow/operators/elementwise.ts'
import { gathering } from '../../../../../src/model/graph/lower/tensorflow/operators/gathering.ts'
import { products } from '../../../../../src/model/graph/lower/tensorflow/operators/products.ts'
import { shapes } from '../../../../../src/model/graph/lower/tensorflow/operators/shape.ts'
import { slicing } from '../../../../../src/model/graph/lower/tensorflow/operators/slicing.ts'
import { sources } from '../../../../../src/model/graph/lower/tensorflow/operators/sources.ts'

const tables = [elementwise, gathering, products, shapes, slicing, sources(new Map(), { bytes: 0 })]
const operators = tables.flatMap((table) => Object.keys(table)).sort()

t.test('each operator has one lowering', async (t) => {
  t.equal(new Set(operators).size, operators.length)
})

t.test('docs/import-export.md lists exactly these', async (t) => {
  const text = await readFile(join(import.meta.dirname, '../../../../../../docs/import-export.md'), 'utf8')
  const [, list] = /<!-- operators -->\n```text\n([\s\S]*?)\n```/.exec(text) ?? []
  t.same(list?.split(/\s+/).sort(), operators)
})

t.test('each is tried against TensorFlow, or is another name of one that is', async (t) => {
  const tests = await readFile(
    join(import.meta.dirname, '../../../../../../test/model/graph/lower/tensorflow/operators.platform.test.ts'),
    'utf8',
  )
  const saved = await readFile(
    join(import.meta.dirname, '../../../../../../test/model/graph/lower/tensorflow/saved-model.system.test.ts'),
    'utf8',
  )
  const named = new Set(
    [...tests.matchAll(/\w+/g), ...saved.matchAll(/'\w+'/g)].map(([word]) => word.replaceAll("'", '')),
  )
  const aliases: Record<string, string> = {
    BatchMatMul: 'BatchMatMulV2',
    BatchMatMulV3: 'BatchMatMulV2',
    BiasAddV1: 'BiasAdd',
    Concat: 'ConcatV2',
    FusedBatchNorm: 'FusedBatchNormV3',
    FusedBatchNormV2: 'FusedBatchNormV3',
    Gather: 'GatherV2',
    Inv: 'Reciprocal',
    TruncateDiv: 'Div',
    Variable: 'VarHandleOp',
    VariableV2: 'VarHandleOp',
    ...Object.fromEntries(
      'CheckNumerics EnsureShape IdentityN PlaceholderWithDefault PreventGradient Snapshot StopGradient'
        .split(' ')
        .map((name) => [name, 'Identity']),
    ),
  }
  const untried = operators.filter(
    (name) => !named.has(aliases[name] ?? name) && name !== 'Placeholder' && name !== 'Const',
  )
  t.same(untried, [])
})
