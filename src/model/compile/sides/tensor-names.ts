/** What a plan's graphs take and give beside the saved graph's own tensors: called as no exporter calls anything. */
export const planNames = {
  /** Columns of a saved input that belong to the request, or to each row. */
  packed: (owner: 'context' | 'rows', input: string) => `multigate:${owner}:${input}`,
  /** What the first layers make of requests' contexts, side by side. */
  contexts: 'multigate:contexts',
  /** For each row what a first layer makes of its candidate and its context. */
  sum: (layer: number) => `multigate:sum:${layer}`,
  /** Which request is each row's; one number where all rows are of one request. */
  requests: 'multigate:requests',
  /** What a first layer makes of candidates. */
  part: (layer: number) => `multigate:part:${layer}`,
}
