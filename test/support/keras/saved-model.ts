import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Hdf5Contents, hdf5 } from '../hdf5.ts'
import { zip } from '../zip.ts'

/** A layer of a functional model as Keras 3 writes it: `inputs` are layers, or [layer, node]. */
export function layer(
  className: string,
  name: string,
  config: Record<string, unknown> = {},
  ...calls: (string | [string, number])[][]
) {
  const tensor = (input: string | [string, number]) => ({
    class_name: '__keras_tensor__',
    config: { keras_history: [...(typeof input === 'string' ? [input, 0] : input), 0] },
  })
  return {
    class_name: className,
    name,
    config: { name, ...config },
    inbound_nodes: calls.map((inputs) => ({
      args: [inputs.length === 1 ? tensor(inputs[0]!) : inputs.map(tensor)],
      kwargs: {},
    })),
  }
}

export const input = (name: string, ...dims: number[]) =>
  layer('InputLayer', name, { batch_shape: [null, ...dims], dtype: 'float32' })

/** config.json of a functional model. */
export function functional(layers: object[], outputs: string[], inputs?: string[]) {
  const ends = (names: string[]) => names.map((name) => [name, 0, 0])
  return {
    class_name: 'Functional',
    config: { name: 'test', layers, output_layers: ends(outputs), ...(inputs && { input_layers: ends(inputs) }) },
  }
}

/** Writes a `.keras` archive; answers its path. */
export async function saveKeras(
  folder: string,
  config: unknown,
  tensors: NonNullable<Hdf5Contents['tensors']>,
  name = 'model.keras',
): Promise<string> {
  const path = join(folder, name)
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  const entries = [
    { name: 'metadata.json', bytes: Buffer.from('{"keras_version": "3.15.1"}') },
    { name: 'config.json', bytes: Buffer.from(text), deflate: text.length > 1000 && text.length < 100_000 },
    { name: 'model.weights.h5', bytes: await hdf5({ tensors }) },
  ]
  await writeFile(path, zip(entries))
  return path
}

/** A tensor of that shape whose numbers follow from its place, none of them 0. */
export function counted(...shape: number[]) {
  const size = shape.reduce((product, side) => product * side, 1)
  return { shape, values: Float32Array.from({ length: size }, (_, i) => Math.sin(i + shape.length + 1) / 2 + 0.01) }
}
