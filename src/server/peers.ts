/** Answers for all processes of the service, where this is one of several. */
export interface Peers {
  /** Why the service isn't ready; `own`: why this process isn't. */
  unreadyReasons(own: string[]): Promise<string[]>
  /** Metrics of all processes in the Prometheus text format; undefined where nobody can answer for them. */
  metrics(): Promise<string | undefined>
}
