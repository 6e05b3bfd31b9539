import type { LiveEvent } from '../../schemas/live.ts'

/** An event without its times. */
export type Change = Pick<LiveEvent, 'kind' | 'severity' | 'text' | 'model'>

export const info = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'info', text })
export const warning = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'warning', text })
export const error = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'error', text })
