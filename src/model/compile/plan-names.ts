/** What a plan's graphs take and give beside the saved graph's own tensors: called as no exporter calls anything. */
export const planNames = {
  /** Columns of a saved input that belong to the request, or to each row. */
  packed: (owner: 'context' | 'rows', input: string) => `multigate:${owner}:${input}`,
  /** What is kept of candidates for a first layer, and which slot is each row's. */
  slab: (layer: number) => `multigate:slab:${layer}`,
  slots: 'multigate:slots',
  /** Which request is each row's; one number where all rows are of one request. */
  requests: 'multigate:requests',
  /** What a first layer makes of candidates. */
  part: (layer: number) => `multigate:part:${layer}`,
}
