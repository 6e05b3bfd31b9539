import type { GraphModel as RunnableModel } from '@tensorflow/tfjs-converter'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { GraphSource, LoadedGraph } from '../../contracts/engine.ts'
import { readGraphModel } from '../../lower/tensorflow/graph-model.ts'
import type { TensorFlow } from './tensorflow-backend.ts'
import { loadProgram, type Runner } from './tensorflow-program.ts'

/** A TensorFlow.js graph model as TensorFlow.js runs it. Rejects like Engine.load. */
export async function loadGraphModel(tensorflow: TensorFlow, source: GraphSource): Promise<LoadedGraph> {
  const { folder, file, signature } = source
  const read = await readGraphModel(folder, file, signature)
  const { modelTopology, weightsManifest, signature: own, userDefinedMetadata } = read.json
  const { tf } = tensorflow
  const { loadGraphModel } = await import('@tensorflow/tfjs-converter')
  let model: RunnableModel
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
    throw new ModelError('UNSUPPORTED_GRAPH', `${file}: ${reasonOf(cause)}`, { cause })
  }
  return await loadProgram(tensorflow, read, runnerOf(model), source)
}

/** Loops and branches run asynchronously, which costs more: the rest goes without. */
function runnerOf(model: RunnableModel): Runner {
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
