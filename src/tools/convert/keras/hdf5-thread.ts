import { parentPort } from 'node:worker_threads'
import h5wasm from 'h5wasm'
import { product } from '../../../base/arrays.ts'
import { reasonOf } from '../../../base/errors.ts'
import type { Hdf5Answer, Hdf5Task, Tensor } from './hdf5.ts'

/*
 * A thread that reads one HDF5 file and ends. The library sees only a file system in memory, so links to other files,
 * and tensors stored in other files, lead nowhere.
 */

/** Deepest nesting of groups: Keras adds a level per attribute and list on the way to a weight. */
const mostLevels = 32
/** Most groups and tensors; a model of a thousand layers has about ten thousand. */
const mostObjects = 100_000
/** Most dimensions; weights have fewer. */
const mostDimensions = 8

/** Top-level groups that only training needs: optimizer slots and metrics. */
const ofTraining = new Set([
  ...['optimizer', 'optimizer_weights', 'metrics', 'compile_metrics', '_compile_metrics', 'loss_tracker'],
  ...['_loss_tracker', 'state', 'compile_loss'],
])

/** Attributes that describe what Keras wrote, and in which order. */
const wanted = ['layer_names', 'weight_names', 'model_config', 'keras_version', 'backend', 'name']

class Unreadable extends Error {}

parentPort?.once('message', (task: Hdf5Task) => {
  void read(task).then((answer) => {
    const buffers = answer.ok ? answer.tensors.map(([, { values }]) => values.buffer as ArrayBuffer) : []
    parentPort?.postMessage(answer, buffers)
  })
})

async function read({ bytes }: Hdf5Task): Promise<Hdf5Answer> {
  try {
    const { FS } = await h5wasm.ready
    FS.writeFile('model.h5', bytes)
    const file = new h5wasm.File('model.h5', 'r')
    if (file.file_id < 0n) throw new Unreadable('is not an HDF5 file, or is truncated')
    return { ok: true, ...walk(file, bytes.byteLength) }
  } catch (error) {
    const problem = error instanceof Unreadable ? error.message : `is not a valid HDF5 file: ${reasonOf(error)}`
    return { ok: false, problem }
  }
}

function walk(file: InstanceType<typeof h5wasm.File>, size: number) {
  const tensors: [string, Tensor][] = []
  const attributes: [string, Record<string, string | string[]>][] = []
  let objects = 0
  let total = 0

  function visit(group: InstanceType<typeof h5wasm.Group>, path: string, level: number) {
    if (level > mostLevels) throw new Unreadable(`/${path} is more than ${mostLevels} groups deep`)
    const found = textsOf(group)
    if (Object.keys(found).length > 0) attributes.push([path, found])
    for (const name of group.keys()) {
      // A dropout's seed is an integer, and only for training.
      if ((level === 0 && ofTraining.has(name)) || name === 'seed_generator') continue
      const inner = path === '' ? name : `${path}/${name}`
      if (++objects > mostObjects) throw new Unreadable(`has more than ${mostObjects} groups and tensors`)
      const entry = group.get(name)
      if (entry instanceof h5wasm.Group) visit(entry, inner, level + 1)
      else if (entry instanceof h5wasm.Dataset) tensors.push([inner, tensorOf(entry, inner)])
      else throw new Unreadable(`/${inner} is a broken link, or a link to another file`)
    }
  }

  function tensorOf(dataset: InstanceType<typeof h5wasm.Dataset>, path: string): Tensor {
    const { shape, type, size: itemSize, vlen } = dataset.metadata
    if (shape === null || shape.length > mostDimensions) throw new Unreadable(`/${path} is not a tensor`)
    // 1 is HDF5's class of floating-point numbers.
    if (type !== 1 || vlen || (itemSize !== 4 && itemSize !== 8))
      throw new Unreadable(`/${path} is of type ${JSON.stringify(dataset.dtype)}, not float32 or float64`)
    const count = product(shape)
    total += count * itemSize
    // Keras does not compress tensors, so they can't exceed the file.
    if (total > size) throw new Unreadable(`/${path} [${shape}] declares more numbers than the file contains`)
    const { value } = dataset
    const numbers = typeof value === 'number' ? [value] : (value as ArrayLike<number> | null)
    if (numbers === null || numbers.length !== count) throw new Unreadable(`/${path} can't be read`)
    return { shape: [...shape], values: Float32Array.from(numbers) }
  }

  visit(file, '', 0)
  return { tensors, attributes }
}

/** Keras splits long lists of names (`weight_names0`, `weight_names1`, …), because an attribute has at most 64 KiB. */
function textsOf(group: InstanceType<typeof h5wasm.Group>): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  const { attrs } = group
  for (const name of wanted) {
    if (Object.hasOwn(attrs, name)) {
      const text = textOf(attrs[name]!.value)
      if (text !== undefined) found[name] = text
      continue
    }
    const parts: string[] = []
    for (let i = 0; Object.hasOwn(attrs, `${name}${i}`); i++)
      parts.push(...[textOf(attrs[`${name}${i}`]!.value) ?? []].flat())
    if (parts.length > 0) found[name] = parts
  }
  return found
}

function textOf(value: unknown): string | string[] | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return ArrayBuffer.isView(value) ? [] : undefined
  return value.every((part) => typeof part === 'string') ? value : undefined
}
