import { execFileSync } from 'node:child_process'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import t from 'tap'
import type { Graph } from '../../src/model/graph/ir/graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
} from '../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../src/model/graph/ir/tensor-shape.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { emptyGraph } from '../support/compile/run-graph.ts'
import { startTestServer } from '../support/server.ts'

/* Files that are broken, or meant to break: each says what is wrong with it, and those beside it go on. */

const answer = (graph: Graph, from: string) => {
  graph.node('Sigmoid', [from], { outputs: ['p'] })
  graph.outputs.push(declare('p', floatShape(-1, 1)))
  return graph
}

function product(kernel: (graph: Graph) => string, opset = 17): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 2) }, opset)
  return answer(graph, graph.node('MatMul', ['x', kernel(graph)]))
}

const weights = (graph: Graph) => graph.constant('kernel', Float32Array.of(0.5, -0.5), [2, 1])

/** A constant whose values lie in a file. */
function external(location: string, offset: number, length: number, dims = [2n, 1n]) {
  return (graph: Graph) => {
    const externalData = Object.entries({ location, offset, length }).map(([key, value]) => ({
      key,
      value: `${value}`,
    }))
    const tensor = { name: 'kernel', dataType: DataType.FLOAT, dims, dataLocation: DataLocation.EXTERNAL, externalData }
    graph.constants.set('kernel', create(TensorProtoSchema, tensor))
    return 'kernel'
  }
}

function circle(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  const first = graph.node('Add', ['x', 'later'])
  graph.node('Relu', [first], { outputs: ['later'] })
  return answer(graph, 'later')
}

function wide(side: number): Graph {
  const graph = emptyGraph({ x: floatShape(-1, side) })
  return answer(graph, graph.node('ReduceSum', ['x', graph.integers([1])]))
}

function chain(length: number): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  let value = 'x'
  for (let i = 0; i < length; i++) value = graph.node('Relu', [value], { outputs: [`r${i}`] })
  return answer(graph, value)
}

function huge(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 2) })
  const tensor = { name: 'kernel', dataType: DataType.FLOAT, dims: [2n ** 40n, 2n ** 20n], rawData: new Uint8Array(8) }
  graph.constants.set('kernel', create(TensorProtoSchema, tensor))
  return answer(graph, graph.node('MatMul', ['x', 'kernel']))
}

/** Makes [batch, 2 ** 33] of what it is given. */
function expanding(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  const large = graph.node('Expand', ['x', graph.integers([1, 2 ** 33])])
  return answer(graph, graph.node('ReduceSum', [large, graph.integers([1])]))
}

/** Twice as wide with each node: a file of kilobytes that would fill any memory. */
function doubling(times: number): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 3) })
  let value = 'x'
  for (let i = 0; i < times; i++) value = graph.node('Concat', [value, value], { attributes: { axis: 1 } })
  return answer(graph, graph.node('ReduceMean', [value], { attributes: { axes: [1], keepdims: 1 } }))
}

function tiling(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 3) })
  const wide = graph.node('Tile', ['x', graph.integers([1, 2 ** 24])])
  return answer(graph, graph.node('ReduceMean', [wide], { attributes: { axes: [1], keepdims: 1 } }))
}

/** x less its mean over the batch: what a request is answered depends on strangers. */
function mixing(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  const mean = graph.node('ReduceMean', ['x'], { attributes: { axes: [0], keepdims: 1 } })
  return answer(graph, graph.node('Sub', ['x', mean]))
}

/** One row, whatever is asked. */
function fixed(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  return answer(graph, graph.node('ReduceMean', ['x'], { attributes: { axes: [0], keepdims: 1 } }))
}

function named(name: string): Graph {
  const graph = emptyGraph({ [name]: floatShape(-1, 1) })
  graph.inputs[0]!.name = name
  return answer(graph, name)
}

function twice(): Graph {
  const graph = named('x')
  graph.inputs.push(declare('x', floatShape(-1, 1)))
  return graph
}

const files: Record<string, [bytes: Uint8Array, reason: RegExp]> = {
  circle: [untidied(circle()), /the node later depends on itself/],
  wide: [wide(2 ** 40).toBytes(), /the input x is 1099511627776 wide, more than 65536/],
  huge: [huge().toBytes(), /model\.onnx/],
  expanding: [expanding().toBytes(), /model\.onnx/],
  outside: [product(external('../../good/1/model.onnx', 0, 8)).toBytes(), /leads? (?:out of|outside)|outside/],
  absolute: [product(external('/etc/hostname', 0, 8)).toBytes(), /Absolute path|outside|is not a path inside/],
  beyond: [product(external('model.onnx', 2 ** 40, 8)).toBytes(), /lies outside of it, or has another length/],
  short: [product(external('model.onnx', 0, 4)).toBytes(), /lies outside of it, or has another length/],
  gone: [product(external('weights.bin', 0, 8)).toBytes(), /weights\.bin: can't be read/],
  opset: [product(weights, 999).toBytes(), /opset|is not supported|ONNX Runtime/i],
  unknown: [unknownOperator().toBytes(), /Whatever|whatever/],
  letters: [new TextEncoder().encode('not a graph at all'), /is not an ONNX file/],
  nothing: [new Uint8Array(), /model\.onnx/],
  doubling: [doubling(40).toBytes(), /a tensor has a dimension of more than 2\^31/],
  wider: [doubling(25).toBytes(), /the tensor \S+ has \d+ elements per row, more than 1048576/],
  tiling: [tiling().toBytes(), /the tensor tile has 50331648 elements per row, more than 1048576/],
  mixing: [mixing().toBytes(), /depends on the other rows of the batch/],
  fixed: [fixed().toBytes(), /the output p has the shape \[1, 1\] for 2 rows, not 1 number per row$/],
  nan: [
    product((graph) => graph.constant('kernel', Float32Array.of(Number.NaN, 1), [2, 1])).toBytes(),
    /it answers NaN/,
  ],
  prototype: [named('__proto__').toBytes(), /an input must have a name, and not __proto__/],
  twice: [twice().toBytes(), /two inputs are called x/],
}

/** The graph's bytes as they are, without putting nodes in order. */
function untidied(graph: Graph): Uint8Array {
  const tidy = graph.tidy
  graph.tidy = () => undefined
  try {
    return graph.toBytes()
  } finally {
    graph.tidy = tidy
  }
}

function unknownOperator(): Graph {
  const graph = emptyGraph({ x: floatShape(-1, 1) })
  return answer(graph, graph.node('Whatever', ['x']))
}

t.test('broken and hostile graphs are refused by themselves', async (t) => {
  const models = await temporaryFolder(t)
  const write = async (name: string, bytes: Uint8Array) => {
    await mkdir(join(models, name, '1'), { recursive: true })
    await writeFile(join(models, name, '1/model.onnx'), bytes)
  }
  await write('good', product(weights).toBytes())
  await write('long', chain(20_000).toBytes())
  // Files that would be waited for, or have no end.
  await mkdir(join(models, 'pipe/1'), { recursive: true })
  execFileSync('mkfifo', [join(models, 'pipe/1/model.onnx')])
  await mkdir(join(models, 'endless/1'), { recursive: true })
  await symlink('/dev/zero', join(models, 'endless/1/model.onnx'))
  await write('dangling', product(weights).toBytes())
  await symlink('nowhere', join(models, 'dangling/1/readme'))
  await write('keras', new Uint8Array())
  await rename(join(models, 'keras/1/model.onnx'), join(models, 'keras/1/model.keras'))
  for (const [name, [bytes]] of Object.entries(files)) await write(name, bytes)
  const { registry, predict } = await startTestServer(t, { models })
  const errors = new Map(registry.list().map(({ name, versions }) => [name, versions[0]?.error]))
  for (const [name, [, reason]] of Object.entries(files)) t.match(errors.get(name), reason, name)
  for (const name of Object.keys(files)) t.match(errors.get(name), `${name}/1/`, `${name}: the place is named`)
  t.equal(errors.get('good'), undefined)
  t.equal(errors.get('pipe'), "pipe/1/model.onnx: can't be read: it is a pipe or a device")
  t.equal(errors.get('endless'), 'endless/1/model.onnx leads out of its folder')
  t.match(errors.get('dangling'), "readme can't be read: it is missing")
  t.equal(errors.get('keras'), 'keras/1/model.keras is what Keras saved: multigate import makes a version of it')
  const { body } = await predict({ model: 'good', inputs: { x: [[1, 1]] } })
  t.same(body.predictions, [{ task_0: 0.5 }])
  t.ok(process.memoryUsage().rss < 2 ** 31, 'memory stays small')
})
