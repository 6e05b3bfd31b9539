import { basename, dirname, join } from 'node:path'
import type { NamedTensorMap } from '@tensorflow/tfjs-core'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { GraphSource, LoadedGraph } from '../../contracts/engine.ts'
import { readSavedModel } from '../../lower/tensorflow/saved-model.ts'
import type { TensorFlow } from './tensorflow-backend.ts'
import { loadProgram } from './tensorflow-program.ts'

/** The only name that TensorFlow looks for. */
const usualFile = 'saved_model.pb'

/** A SavedModel as libtensorflow runs it, which must be prepared here. Rejects like Engine.load. */
export async function loadSavedModel(tensorflow: TensorFlow, source: GraphSource): Promise<LoadedGraph> {
  const { folder, file } = source
  if (tensorflow.backend !== 'native')
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${file}: TensorFlow.js runs SavedModels on native TensorFlow alone, not on ${tensorflow.backend} (npm run setup:tensorflow)`,
    )
  if (basename(file) !== usualFile)
    throw new ModelError('UNSUPPORTED_GRAPH', `${file}: TensorFlow reads SavedModels from a file ${usualFile} alone`)
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
    )
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    // Where it lies on this machine is nobody's business.
    const reason = reasonOf(cause).split('\n')[0]!.replaceAll(folder, '.')
    throw new ModelError('UNSUPPORTED_GRAPH', `${file}: ${reason}`, { cause })
  }
}
