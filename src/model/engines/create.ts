import { ModelError, reasonOf } from '../errors.ts'
import type { Engine } from './engine.ts'

export type EngineChoice = 'auto' | 'onnx' | 'tensorflow'

/**
 * The engine of that name; `auto` takes the first that works here. Loads nothing of the others.
 *
 * `threads`: threads of one call. Throws ENGINE_UNAVAILABLE where it can't work.
 */
export async function createEngine(choice: EngineChoice, threads: number): Promise<Engine> {
  if (choice === 'onnx') return onnx(threads)
  if (choice === 'tensorflow') return tensorflow()
  try {
    return await onnx(threads)
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

async function onnx(threads: number): Promise<Engine> {
  try {
    const { createOnnxEngine } = await import('./onnx.ts')
    return await createOnnxEngine({ threads })
  } catch (cause) {
    throw new ModelError('ENGINE_UNAVAILABLE', `The onnx engine can't be used here: ${reasonOf(cause)}`, { cause })
  }
}

async function tensorflow(): Promise<Engine> {
  try {
    const { createTensorflowEngine } = await import('./tensorflow.ts')
    return await createTensorflowEngine()
  } catch (cause) {
    throw new ModelError('ENGINE_UNAVAILABLE', `The tensorflow engine can't be used here: ${reasonOf(cause)}`, {
      cause,
    })
  }
}
