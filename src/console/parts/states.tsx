import type { ComponentChildren } from 'preact'
import { type AskError, askForKey, key, missingScope } from '../api/client.ts'

/** Something is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      Loading {what} …
    </div>
  )
}

/** An answer that is on its way, or failed. */
export function Pending({ what, error, again }: { what: string; error: AskError | undefined; again?: () => void }) {
  return error === undefined ? <Loading what={what} /> : <Failed error={error} again={again} />
}

/** A mark that what is shown is old. */
export function Stale({ message }: { message: string }) {
  return (
    <span class="pill bad" role="status">
      not up to date: {message}
    </span>
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
  const scope = missingScope(error.message)
  return (
    <div class="state failed" role="alert">
      <strong>{titleOf(error)}</strong>
      <p>
        <bdi>{error.message}</bdi>
      </p>
      {advice && <p>{advice}</p>}
      <div class="actions">
        {scope !== undefined && <KeyButton scope={scope} />}
        {again && (
          <button type="button" onClick={again}>
            Try again
          </button>
        )}
      </div>
    </div>
  )
}

/** The server does not show this to the reader, unless as an administrator: why, and what helps. */
export function ForAdministrators({ error, again, why }: { error: AskError; again(): void; why: string }) {
  if (!/MULTIGATE_ADMIN/.test(error.message)) return <Failed error={error} again={again} />
  return (
    <div class="card state" role="alert">
      <strong>Administration is not enabled</strong>
      <p>
        {why}, so that only administrators see them. Start the server with MULTIGATE_ADMIN=true, or with
        MULTIGATE_ADMIN_PORT, which gives administration and this console a port of their own.
      </p>
    </div>
  )
}

/** Asks for another key, where this one does not open what is wanted. */
export function KeyButton({ scope }: { scope: string | undefined }) {
  return (
    <button type="button" onClick={() => askForKey(scope && `It needs the scope “${scope}”.`)}>
      {key.value === '' ? 'Enter a key' : 'Enter another key'}
    </button>
  )
}

function titleOf({ status, message, problem }: AskError): string {
  const scope = missingScope(message)
  if (scope !== undefined) return `This needs a key with the scope “${scope}”`
  if (status === 0) return 'No answer'
  if (problem?.code === 'QUEUE_FULL' || problem?.code === 'DEADLINE_EXCEEDED') return 'The server is overloaded'
  return problem?.title ?? 'That failed'
}

function adviceOf({ status, problem }: AskError): string | undefined {
  if (status === 0) return 'The page asks again by itself.'
  if (problem?.code === 'QUEUE_FULL')
    return 'Requests of the console are admitted last, so that they take no capacity from others.'
  if (status === 401) return 'Enter a key, at the top of the page.'
  return undefined
}
