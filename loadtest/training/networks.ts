import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'

/** A network to train, in every program the same. */
export interface BenchNetwork {
  title: string
  sparseFields: number
  denseFields: number
  /** Rows of the embedding table. */
  ids: number
  dim: number
  experts: number
  /** Widths of an expert's layers, the linear output's last. */
  expert: number[]
  /** Width of a tower's hidden layer. */
  tower: number
  tasks: string[]
  /** Items of the user's history, to which the first sparse field attends by DIN, and widths of its hidden layers. */
  history?: { max: number; dims: number[] }
  /** Rows of the file for `multigate train`. */
  fileRows: number
}

export const networks = {
  small: {
    title: '12 + 6 fields, 1,000 ids, d 8, 4 experts 64-32',
    ...{ sparseFields: 12, denseFields: 6, ids: 1000, dim: 8, experts: 4, expert: [64, 32], tower: 32 },
    ...{ tasks: ['a', 'b'], fileRows: 200_000 },
  },
  wide: {
    title: '26 + 13 fields, 100,000 ids, d 16, 8 experts 256-128',
    ...{ sparseFields: 26, denseFields: 13, ids: 100_000, dim: 16, experts: 8, expert: [256, 128], tower: 32 },
    ...{ tasks: ['a', 'b'], fileRows: 40_000 },
  },
  history: {
    title: '12 + 6 fields, a history of 20 at most, half full, DIN 64-16, 10,000 ids, d 16, 4 experts 64-32',
    ...{ sparseFields: 12, denseFields: 6, ids: 10_000, dim: 16, experts: 4, expert: [64, 32], tower: 32 },
    ...{ history: { max: 20, dims: [64, 16] }, tasks: ['a', 'b'], fileRows: 100_000 },
  },
} satisfies Record<string, BenchNetwork>

export type NetworkName = keyof typeof networks

type Sizes = Pick<BenchNetwork, 'dim' | 'experts' | 'expert' | 'tower'>

/** Options of the multi-gate mixture of experts. */
export function optionsOf({ dim, experts, expert, tower }: Sizes): ArchitectureOptions {
  return {
    ...{ name: 'multi_gate', dim_emb: dim, embedding_l2: 0, num_experts: experts, dims_expert: expert },
    ...{ num_hidden_expert: expert.length, dim_hidden_expert: expert.at(-1)!, dropout_expert: 0 },
    ...{ num_hidden_tasks: 2, dim_hidden_tasks: tower, dropout_tasks: 0 },
  }
}
