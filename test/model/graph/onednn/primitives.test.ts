import t from 'tap'
import type { Binding } from '../../../../src/model/graph/onednn/binding.ts'
import { createProduct, type ProductShape } from '../../../../src/model/graph/onednn/primitives.ts'

/** A library that counts what it has made and not destroyed. */
function countingLibrary() {
  const live = new Map<number, string>()
  let last = 0
  const make = (kind: string) => () => {
    live.set(++last, kind)
    return last
  }
  const destroy = (handle: unknown) => {
    if (!live.delete(handle as number)) throw new Error(`${handle} is destroyed twice`)
  }
  const functions: Partial<Binding> = {
    matrix: make('matrix'),
    anyMatrix: make('any matrix'),
    vector: make('vector'),
    describeProduct: make('description'),
    weightsOf: make('layout'),
    implementationOf: () => 'brgemm',
    createPrimitive(description) {
      destroy(description)
      return make('primitive')()
    },
    bytesOf: () => 64,
    destroyMatrix: destroy,
    destroyPrimitive: destroy,
  }
  const maker = {
    functions: functions as Binding,
    engine: 0,
    stream: 0,
    region: (buffer: ArrayBuffer) => ({ address: 0, bytes: buffer.byteLength, buffer }),
    layoutOf: (description: number) => description,
    weightsOf: (layout: number) => layout,
    factorArgument: 0,
  }
  return { maker, live }
}

t.test('a product that is released leaves the layout of its weights alone', async (t) => {
  const shape = { rows: 8, k: 16, n: 32, relu: false } as const
  const formats: Pick<ProductShape, 'input' | 'output'>[] = [
    { input: 'bfloat16', output: 'float32' },
    { input: 'uint8', output: 'float32' },
    { input: 'uint8', output: 'uint8' },
  ]
  for (const format of formats) {
    const { maker, live } = countingLibrary()
    createProduct(maker, { ...shape, ...format }).release()
    t.same([...live.values()], ['layout'], JSON.stringify(format))
  }
})
