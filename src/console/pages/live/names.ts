/** Why requests are shed, in words; names are those of the metric `multigate_shed_total`. */
const shedReasons: Record<string, string> = {
  busy: 'too busy to read it',
  pending_bytes: 'too many bytes pending',
  unread: 'answer not read',
  queue_full: 'queue full',
  predicted_wait: 'would wait too long',
  quota: 'share of the queue used up',
  deadline: 'deadline passed',
}

export const shedName = (reason: string): string => shedReasons[reason] ?? reason.replaceAll('_', ' ')
const outcomes: Record<string, string> = {
  cancelled: 'client went away',
  rate_limited: 'limit of its key used up',
  unauthorized: 'no valid key',
  forbidden: 'key lacks the scope',
}

export const outcomeName = (outcome: string): string => outcomes[outcome] ?? outcome.replaceAll('_', ' ')
