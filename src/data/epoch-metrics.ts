/** Default metric that decides which epoch is kept. */
export const defaultSelection = 'normalised_entropy'

/** Metrics of one task that a spec may name, as `ctr.auc`. */
export const taskMetrics = ['auc', 'logloss', 'normalised_entropy'] as const
export type TaskMetric = (typeof taskMetrics)[number]

/** `ctr.auc` → ctr, auc. Task names may contain dots. */
export function splitSelection(select: string): { task: string; metric: string } {
  const dot = select.lastIndexOf('.')
  return { task: select.slice(0, Math.max(0, dot)), metric: select.slice(dot + 1) }
}
