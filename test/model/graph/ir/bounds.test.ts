import t from 'tap'
import { checkGraphBounds } from '../../../../src/model/graph/ir/bounds.ts'
import { externalFiles } from '../../../../src/model/graph/ir/external-data.ts'
import { Graph } from '../../../../src/model/graph/ir/graph.ts'

/** A message's field that holds a message, in protobuf's binary form. */
function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = []
  let rest = content.length
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content])
}

const repeated = (number: number, count: number) => Buffer.alloc(2 * count, Buffer.from([(number << 3) | 2, 0]))
const model = (graph: Uint8Array) => field(7, graph)
const [node, initializer, attribute, attributeGraph, nodeAttribute] = [1, 5, 5, 6, 5]

t.test('a graph of very many empty nodes is refused before it is read', async (t) => {
  const refused = { code: 'UNSUPPORTED_GRAPH', message: 'it has more than 100000 nodes' }
  const bytes = model(repeated(node, 100_001))
  t.throws(() => Graph.parse(bytes, '.'), refused)
  t.throws(() => externalFiles(bytes), refused)
  t.doesNotThrow(() => checkGraphBounds(model(repeated(node, 100_000))))
})

t.test('nodes of a graph inside a node count too', async (t) => {
  const inner = field(nodeAttribute, field(attributeGraph, repeated(node, 100_000)))
  t.throws(() => checkGraphBounds(model(field(node, inner))), { message: 'it has more than 100000 nodes' })
})

t.test('so do attributes, tensors and shapes', async (t) => {
  const refused = { message: 'it has more than 1000000 nodes, attributes, tensors and shapes' }
  t.throws(() => checkGraphBounds(model(repeated(initializer, 1_000_001))), refused)
  t.throws(() => checkGraphBounds(model(field(node, repeated(attribute, 1_000_001)))), refused)
})

t.test('bytes that are no ONNX model are left to the reader', async (t) => {
  t.throws(() => checkGraphBounds(Buffer.from([(7 << 3) | 2, 200])), Error)
})
