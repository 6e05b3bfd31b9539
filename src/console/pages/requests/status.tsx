import type { RequestRecord } from './stages.ts'

/** A status with the code of its problem. */
export function Status({ record: { status, code } }: { record: RequestRecord }) {
  const tone = status >= 500 ? 'bad' : status >= 400 ? 'warning' : 'good'
  return (
    <span class={`pill ${tone}`}>
      {status} {code ?? (status === 499 ? 'client left' : '')}
    </span>
  )
}
