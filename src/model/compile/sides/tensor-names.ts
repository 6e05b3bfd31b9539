const sums = 'multigate:sum:'

/** Names of tensors that compiled graphs have beside the saved graph's own; the prefix avoids collisions. */
export const planNames = {
  /** Columns of a saved input that belong to the context or to each row. */
  packed: (owner: 'context' | 'rows', input: string) => `multigate:${owner}:${input}`,
  /** Outputs of the first layers for the contexts, concatenated. */
  contexts: 'multigate:contexts',
  /** Per row, a first layer's sum over its candidate and context columns. */
  sum: (layer: number) => `${sums}${layer}`,
  /** The layer whose sum an input is. */
  layerOf: (input: string): number | undefined =>
    input.startsWith(sums) ? Number(input.slice(sums.length)) : undefined,
  /** The request of each row; a single number for a single request. */
  requests: 'multigate:requests',
  /** Output of a first layer for candidates. */
  part: (layer: number) => `multigate:part:${layer}`,
  /** Per id of a live column, the row of the overlay that replaces its table's, or 0. */
  slots: 'multigate:slots',
  /** The overlay of a live table. */
  overlay: (table: number) => `multigate:overlay:${table}`,
  /** A tensor that depends on one side alone, for each row or once a request. */
  region: (each: 'rows' | 'requests', tensor: string) => `multigate:region:${each}:${tensor}`,
}

/** Whether an input belongs to live tables, and not to the saved graph. */
export function isOfLiveTables(input: string): boolean {
  return input === planNames.slots || input.startsWith(planNames.overlay(0).slice(0, -1))
}

/** The name that a tensor has in the whole graph. */
export function nameInWhole(tensor: string): string {
  return tensor.replace(/^multigate:region:(rows|requests):/, '')
}
