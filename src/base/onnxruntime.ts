import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as OnnxRuntime from 'onnxruntime-node'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { ModelError, reasonOf } from './errors.ts'
import { sendNoUsageData } from './process.ts'
import { projectRoot } from './project.ts'

/**
 * ONNX Runtime: the copy in the package (scripts/bundle-onnxruntime.mjs), or in a checkout the installed one. Only
 * types are imported from `onnxruntime-node`.
 */
export const onnxruntime = openRuntime(join(projectRoot, 'dist'))

/**
 * Row-major data as a tensor of ONNX Runtime, without a copy. Throws TypeError for what has another type than those
 * three.
 */
export function tensorOf({ data, dims }: { data: ArrayBufferView; dims: readonly number[] }): Tensor {
  if (data instanceof Float32Array) return new onnxruntime.Tensor('float32', data, dims)
  if (data instanceof Int32Array) return new onnxruntime.Tensor('int32', data, dims)
  if (data instanceof BigInt64Array) return new onnxruntime.Tensor('int64', data, dims)
  throw new TypeError(`${data.constructor.name} is no data of a tensor`)
}

/** The tensors that a session takes; `rank`: how many dimensions each has. */
export function inputsOf({ inputMetadata }: InferenceSession): { name: string; type: Tensor.Type; rank: number }[] {
  return inputMetadata.flatMap((input) =>
    input.isTensor ? [{ name: input.name, type: input.type, rank: input.shape.length }] : [],
  )
}

/** Options of a session whose graph is in memory, and its external data in `folder`. */
export function withExternalData(
  options: InferenceSession.SessionOptions,
  folder: string,
): InferenceSession.SessionOptions {
  const session = { ...(options.extra?.session as object), model_external_initializers_file_folder_path: folder }
  return { ...options, extra: { ...options.extra, session } }
}

/** `dist`: the folder of the package's own files. Throws ENGINE_UNAVAILABLE with instructions. */
export function openRuntime(dist: string, { platform, arch } = process): typeof OnnxRuntime {
  sendNoUsageData()
  const require = createRequire(join(dist, 'package.json'))
  const bundled = join(dist, 'onnxruntime-node')
  if (existsSync(bundled)) {
    const held = platformsOf(join(bundled, 'bin/napi-v6'))
    const here = `${platform}-${arch}`
    if (!held.includes(here))
      throw new ModelError(
        'ENGINE_UNAVAILABLE',
        `This package holds ONNX Runtime for ${held.join(', ')}, and this is ${here}: pack one with "npm run build -- ${here} && npm pack"`,
      )
    return load(require, bundled)
  }
  return load(require, 'onnxruntime-node')
}

function platformsOf(folder: string): string[] {
  return readdirSync(folder).flatMap((system) =>
    readdirSync(join(folder, system)).map((processor) => `${system}-${processor}`),
  )
}

function load(require: NodeJS.Require, name: string): typeof OnnxRuntime {
  try {
    return require(name)
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && name === 'onnxruntime-node'
    const reason = missing
      ? 'This package was packed without ONNX Runtime: pack it with "npm run build && npm pack"'
      : `ONNX Runtime does not load: ${reasonOf(cause).split('\n')[0]}`
    throw new ModelError('ENGINE_UNAVAILABLE', reason, { cause })
  }
}
