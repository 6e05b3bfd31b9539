/** Names of tensors that compiled graphs have beside the saved graph's own; the prefix avoids collisions. */
export const planNames = {
  /** Columns of a saved input that belong to the context or to each row. */
  packed: (owner: 'context' | 'rows', input: string) => `multigate:${owner}:${input}`,
  /** Outputs of the first layers for the contexts, concatenated. */
  contexts: 'multigate:contexts',
  /** Per row, a first layer's sum over its candidate and context columns. */
  sum: (layer: number) => `multigate:sum:${layer}`,
  /** The request of each row; a single number for a single request. */
  requests: 'multigate:requests',
  /** Output of a first layer for candidates. */
  part: (layer: number) => `multigate:part:${layer}`,
  /** A tensor of the context alone or of the candidate alone. */
  region: (tensor: string) => `${regionPrefix}${tensor}`,
}

const regionPrefix = 'multigate:region:'

/** The name that a tensor has in the whole graph. */
export function nameInWhole(tensor: string): string {
  return tensor.startsWith(regionPrefix) ? tensor.slice(regionPrefix.length) : tensor
}
