import { basename, dirname, join } from 'node:path'
import type { GraphModel as RunnableGraph } from '@tensorflow/tfjs-converter'
import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core'
import type { LayersModel as RunnableModel, SymbolicTensor } from '@tensorflow/tfjs-layers'
import { product } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { Batch, Engine, GraphSource, LoadedGraph, Outputs, Signature } from '../../contracts/engine.ts'
import { invalidIn, unsupportedIn } from '../../graph/ir/file-errors.ts'
import { type LayersModel, readLayersModel } from '../../graph/lower/layers/layers-model.ts'
import { readGraphModel } from '../../graph/lower/tensorflow/graph-model.ts'
import { readSavedModel } from '../../graph/lower/tensorflow/saved-model.ts'
import { valuesOf } from '../memory.ts'
import { type InputWidths, loadJoined } from './concatenated.ts'
import { prepareTensorFlow, type TensorFlow, type TensorFlowBackend } from './tensorflow-backend.ts'
import { loadProgram, type Runner } from './tensorflow-program.ts'

/**
 * TensorFlow.js, in this thread: reads layers and graph models, and SavedModels where native TensorFlow is prepared.
 *
 * `backend` forces one; else it is the fastest that loads here. One backend per thread: an engine of another backend
 * takes over from an earlier one's only between calls. Rejects with ENGINE_UNAVAILABLE where none works.
 */
export async function createTensorflowEngine(options: { backend?: TensorFlowBackend } = {}): Promise<Engine> {
  const tensorflow = await prepareTensorFlow(options.backend)

  const load: Engine['load'] = (source, takeTurn = (work) => work()) => takeTurn(() => loadJoined(source, loadSaved))

  async function loadSaved(source: GraphSource, widths: InputWidths): Promise<LoadedGraph> {
    if (source.format === 'onnx') throw unsupportedIn(source.file, "the tensorflow engine doesn't read ONNX files")
    if (source.format === 'graph_model') return loadGraphModel(tensorflow, source, widths)
    if (source.format === 'saved_model') return loadSavedModel(tensorflow, source, widths)
    const file = await readLayersModel(source.folder, source.file)
    await tensorflow.activate()
    return graphOf(tensorflow, await open(tensorflow, file), source, widths)
  }

  return { name: `tensorflow (${tensorflow.backend})`, load }
}

async function open({ tf, layers }: TensorFlow, file: LayersModel): Promise<RunnableModel> {
  const weightSpecs = [...file.weights.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }))
  const artifacts = { modelTopology: file.topology, weightSpecs, weightData: file.weightData }
  try {
    return await layers.loadLayersModel(tf.io.fromMemory(artifacts))
  } catch (cause) {
    const reason = reasonOf(cause)
    const unknown = /^Unknown layer: (\w+)/.exec(reason)?.[1]
    const layer = [...file.layers.values()].find(({ className }) => className === unknown)
    if (layer)
      throw new ModelError(
        'UNSUPPORTED_GRAPH',
        `layer ${layer.name} (${unknown}): this class of layers is not supported`,
      )
    const code = reason.startsWith('Unknown ') ? 'UNSUPPORTED_GRAPH' : 'INVALID_BUNDLE'
    throw new ModelError(code, `${file.file}: ${reason}`, { cause })
  }
}

function graphOf(
  tensorflow: TensorFlow,
  model: RunnableModel,
  { file, outputs }: GraphSource,
  widths: InputWidths,
): LoadedGraph {
  const { tf, layers, activate } = tensorflow
  const answers = new Map(outputs.map((name) => [name, outputOf(model, file, name)]))
  const inputs = model.inputs.map((input, i) => ({
    name: model.inputNames[i]!,
    dtype: input.dtype === 'int32' ? ('int32' as const) : ('float32' as const),
    dims: fixed(file, model.inputNames[i]!, input.shape, widths),
  }))
  const signature: Signature = {
    inputs: inputs.map(({ name, dtype, dims }) => ({ name, dtype, width: product(dims) })),
    outputs: [...answers].map(([name, output]) => ({ name, width: product(fixed(file, name, output.shape)) })),
  }
  const partial = new Map<string, RunnableModel>()
  let open = true

  /** The part of the model that answers with these, in this order. */
  function partOf(wanted: string[]): RunnableModel {
    const key = JSON.stringify(wanted)
    const part =
      partial.get(key) ?? layers.model({ inputs: model.inputs, outputs: wanted.map((name) => answerOf(name)) })
    partial.set(key, part)
    return part
  }

  function answerOf(name: string): SymbolicTensor {
    const answer = answers.get(name)
    if (answer === undefined) throw new ModelError('MODEL_FAILED', `${file}: there is no output ${name}`)
    return answer
  }

  async function run(batch: Batch, wanted: string[]): Promise<Outputs> {
    if (!open) throw new ModelError('MODEL_FAILED', `${file}: is closed`)
    if (batch.rows === 0 || wanted.length === 0)
      return Object.fromEntries(wanted.map((name) => [name, new Float32Array(0)]))
    await activate()
    const names = [...new Set(wanted)]
    return tf.tidy(() => {
      const tensors = inputs.map(({ dtype, dims }, i) =>
        tf.tensor(valuesOf(batch, signature.inputs[i]!), [batch.rows, ...dims], dtype),
      )
      try {
        const results = [partOf(names).apply(tensors)].flat() as Tensor[]
        return Object.fromEntries(names.map((name, i) => [name, results[i]!.dataSync<'float32'>()]))
      } catch (cause) {
        throw new ModelError('MODEL_FAILED', `${file}: ${reasonOf(cause)}`, { cause })
      }
    })
  }

  async function close(): Promise<void> {
    if (!open) return
    open = false
    partial.clear()
    model.dispose()
  }

  return { signature, run, close }
}

/** The answer of the layer of that name; for a shared layer, the one that the model itself answers with. */
function outputOf(model: RunnableModel, file: string, name: string): SymbolicTensor {
  const own = model.outputs[model.outputNames.indexOf(name)]
  if (own) return own
  const layer = model.layers.find((layer) => layer.name === name && layer.getClassName() !== 'InputLayer')
  if (layer === undefined) throw invalidIn(file, `there is no layer ${name} to answer with`)
  if (layer.inboundNodes.length > 1)
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `layer ${name} (${layer.getClassName()}): is applied ${layer.inboundNodes.length} times, which leaves open which answer is wanted`,
    )
  return layer.output as SymbolicTensor
}

/** The dimensions after the batch; one that is free has the width that the tensor is given. */
function fixed(file: string, name: string, shape: (number | null)[], widths: InputWidths = new Map()): number[] {
  const width = widths.get(name)
  if (shape.length === 2 && shape[1] === null && width !== undefined) return [width]
  return shape.slice(1).map((side) => {
    if (side === null) throw unsupportedIn(file, `${name} has no fixed width: [${shape}]`)
    return side
  })
}

/** A TensorFlow.js graph model as TensorFlow.js runs it. Rejects like Engine.load. */
export async function loadGraphModel(
  tensorflow: TensorFlow,
  source: GraphSource,
  widths?: InputWidths,
): Promise<LoadedGraph> {
  const { folder, file, signature } = source
  const read = await readGraphModel(folder, file, signature)
  const { modelTopology, weightsManifest, signature: own, userDefinedMetadata } = read.json
  const { tf } = tensorflow
  const { loadGraphModel } = await import('@tensorflow/tfjs-converter')
  let model: RunnableGraph
  await tensorflow.activate()
  try {
    model = await loadGraphModel(
      tf.io.fromMemory({
        format: 'graph-model',
        // TensorFlow.js reads the version, though it makes no use of it.
        modelTopology: { versions: {}, ...modelTopology },
        weightSpecs: weightsManifest.flatMap(({ weights }) => weights) as never,
        weightData: read.weightData,
        ...(own === undefined ? {} : { signature: own }),
        ...(userDefinedMetadata === undefined ? {} : { userDefinedMetadata }),
      }),
    )
  } catch (cause) {
    throw unsupportedIn(file, reasonOf(cause), cause)
  }
  return await loadProgram(tensorflow, read, runnerOf(model), source, widths)
}

/** Loops and branches run asynchronously, which costs more: the rest goes without. */
function runnerOf(model: RunnableGraph): Runner {
  let dynamic = false
  return {
    run(inputs, wanted) {
      if (!dynamic)
        try {
          return [model.execute(inputs, wanted)].flat()
        } catch (error) {
          if (!/executeAsync/.test(reasonOf(error))) throw error
          dynamic = true
        }
      return model.executeAsync(inputs, wanted).then((results) => [results].flat())
    },
    dispose: () => model.dispose(),
  }
}

/** The only name that TensorFlow looks for. */
const usualFile = 'saved_model.pb'

/** A SavedModel as libtensorflow runs it, which must be prepared here. Rejects like Engine.load. */
export async function loadSavedModel(
  tensorflow: TensorFlow,
  source: GraphSource,
  widths?: InputWidths,
): Promise<LoadedGraph> {
  const { folder, file } = source
  if (tensorflow.backend !== 'native')
    throw unsupportedIn(
      file,
      `TensorFlow.js runs SavedModels on native TensorFlow alone, not on ${tensorflow.backend}: it needs @tensorflow/tfjs-node (in a checkout: npm run setup:tensorflow)`,
    )
  if (basename(file) !== usualFile)
    throw unsupportedIn(file, `TensorFlow reads SavedModels from a file ${usualFile} alone`)
  // Reports damage here: libtensorflow may end the process.
  const program = await readSavedModel(folder, file, source.signature)
  const { node } = await import('@tensorflow/tfjs-node')
  await tensorflow.activate()
  try {
    const model = await node.loadSavedModel(join(folder, dirname(file)), program.tags, program.signature)
    return await loadProgram(
      tensorflow,
      program,
      {
        run(inputs, wanted) {
          const results = model.predict(inputs as never) as unknown as NamedTensorMap
          tensorflow.tf.dispose(
            Object.entries(results).flatMap(([name, tensor]) => (wanted.includes(name) ? [] : [tensor])),
          )
          return wanted.map((name) => results[name]!)
        },
        dispose: () => model.dispose(),
      },
      source,
      widths,
    )
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    // Where it lies on this machine is nobody's business.
    const reason = reasonOf(cause).split('\n')[0]!.replaceAll(folder, '.')
    throw unsupportedIn(file, reason, cause)
  }
}
