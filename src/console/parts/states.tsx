import type { ComponentChildren } from 'preact'
import type { AskError } from '../api/client.ts'

/** Something is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      Loading {what} …
    </div>
  )
}

/** There is nothing, and why. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <strong>{title}</strong>
      {children}
    </div>
  )
}

/** It failed, and what can be done about it. */
export function Failed({ error, again }: { error: AskError; again?: () => void }) {
  const advice = adviceOf(error)
  return (
    <div class="state failed" role="alert">
      <strong>{titleOf(error)}</strong>
      <p>{error.message}</p>
      {advice && <p>{advice}</p>}
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

function titleOf({ status, problem }: AskError): string {
  if (status === 0) return 'No answer'
  if (problem?.code === 'QUEUE_FULL' || problem?.code === 'DEADLINE_EXCEEDED') return 'The server is overloaded'
  return problem?.title ?? 'That failed'
}

function adviceOf({ status, problem }: AskError): string | undefined {
  if (status === 0) return 'The page asks again by itself.'
  if (problem?.code === 'QUEUE_FULL')
    return 'Requests of the console are admitted last, so that they take nothing from those that serve.'
  if (status === 401) return 'Enter a key, at the top of the page.'
  return undefined
}
