export interface TensorShape {
  name: string
  dtype: string
  /** Without the dimension of rows. */
  shape: number[]
}

/** Numbers of an example at most: a larger one could not be edited. */
const mostNumbers = 4000

/** Two rows of zeros in the right shape for each input, as JSON; nothing for inputs that are too large to type. */
export function exampleInputs(tensors: readonly TensorShape[]): string {
  const entries = tensors.map(({ name, shape }) => {
    const size = shape.reduce((product, length) => product * length, 1)
    return `  ${JSON.stringify(name)}: ${JSON.stringify(size > mostNumbers ? [] : [zeros(shape), zeros(shape)])}`
  })
  return `{\n${entries.join(',\n')}\n}`
}

function zeros([length, ...rest]: readonly number[]): unknown {
  return length === undefined ? 0 : Array.from({ length }, () => zeros(rest))
}
