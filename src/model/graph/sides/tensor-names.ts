import { product } from '../../../base/arrays.ts'
import type { Graph } from '../ir/graph.ts'
import type { VariantGraph } from './split-graphs.ts'

const sums = 'multigate:sum:'
const overlays = 'multigate:overlay:'
const pages = 'multigate:pages:'
const slots = 'multigate:slots:'
const lengths = 'multigate:length:'

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
  /** The length of a sequence's longest list, see `ListLength`. */
  length: (list: number) => `${lengths}${list}`,
  /** Output of a first layer for candidates. */
  part: (layer: number) => `multigate:part:${layer}`,
  /** The overlay of a live table. */
  overlay: (table: number) => `${overlays}${table}`,
  /** The index of a live table's rows in its overlay. */
  pages: (table: number) => `${pages}${table}`,
  slots: (table: number) => `${slots}${table}`,
  /** A tensor that depends on one side alone, for each row or once a request. */
  region: (each: 'rows' | 'requests', tensor: string) => `multigate:region:${each}:${tensor}`,
}

/** Whether an input belongs to live tables or to lists, and not to the saved graph. */
export function isAdded(input: string): boolean {
  return [overlays, pages, slots, lengths].some((prefix) => input.startsWith(prefix))
}

/** The name that a tensor has in the whole graph. */
export function nameInWhole(tensor: string): string {
  return tensor.replace(/^multigate:region:(rows|requests):/, '')
}

/** The variant with the saved graph's own inputs. */
export function fullVariant(graph: Graph): VariantGraph {
  const rows = graph.inputs.map(({ name }) => {
    const width = product(graph.shapes.get(name)?.dims.slice(1) ?? [])
    return { name, input: name, columns: Array.from({ length: width }, (_, i) => i) }
  })
  return { graph, context: [], rows, replaced: new Map() }
}
