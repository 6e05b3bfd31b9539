import { ModelError, reasonOf } from '../../base/errors.ts'
import type { Engine } from '../contracts/engine.ts'

export type EngineChoice = 'auto' | 'onnx' | 'tensorflow'

/**
 * The engine of that name; `auto` takes the first that works here, and the tensorflow engine for graphs that the onnx
 * engine can't run. Loads nothing of the others.
 *
 * `threads`: threads of one call. Throws ENGINE_UNAVAILABLE where it can't work.
 */
export async function createEngine(choice: EngineChoice, threads: number): Promise<Engine> {
  if (choice === 'onnx') return onnx(threads)
  if (choice === 'tensorflow') return tensorflow()
  try {
    return withFallback(await onnx(threads), tensorflow)
  } catch (onnxError) {
    try {
      return await tensorflow()
    } catch (tensorflowError) {
      throw new ModelError(
        'ENGINE_UNAVAILABLE',
        `No engine works here. ${reasonOf(onnxError)}. ${reasonOf(tensorflowError)}`,
      )
    }
  }
}

/**
 * The first engine, and the second, made when it is first needed, for graphs that the first finds UNSUPPORTED_GRAPH:
 * their signature says so. Formats that TensorFlow doesn't read are left out.
 */
export function withFallback(first: Engine, second: () => Promise<Engine>): Engine {
  let made: Promise<Engine> | undefined
  return {
    name: first.name,
    async load(source, takeTurn) {
      try {
        return await first.load(source, takeTurn)
      } catch (error) {
        const another = source.format !== 'onnx' && source.plan === undefined
        if (!another || !(error instanceof ModelError) || error.code !== 'UNSUPPORTED_GRAPH') throw error
        try {
          made ??= second()
          const engine = await made
          const graph = await engine.load(source, takeTurn)
          return { ...graph, signature: { ...graph.signature, engine: engine.name } }
        } catch (cause) {
          throw new ModelError('UNSUPPORTED_GRAPH', `${error.message}. Nor by TensorFlow: ${reasonOf(cause)}`, {
            cause,
          })
        }
      }
    },
  }
}

async function onnx(threads: number): Promise<Engine> {
  try {
    const { createOnnxEngine } = await import('./onnx/onnx.ts')
    return await createOnnxEngine({ threads })
  } catch (cause) {
    throw new ModelError('ENGINE_UNAVAILABLE', `The onnx engine can't be used here: ${reasonOf(cause)}`, { cause })
  }
}

async function tensorflow(): Promise<Engine> {
  try {
    const { createTensorflowEngine } = await import('./tensorflow/tensorflow.ts')
    return await createTensorflowEngine()
  } catch (cause) {
    throw new ModelError('ENGINE_UNAVAILABLE', `The tensorflow engine can't be used here: ${reasonOf(cause)}`, {
      cause,
    })
  }
}
