import type { AskError } from '../../api/client.ts'
import { Failed } from '../../parts/states.tsx'

/** Requests are recorded nowhere: how to change that. */
export function NotRecorded() {
  return (
    <div class="card state">
      <strong>No requests are recorded</strong>
      <p>
        The server can keep its slowest, failed and last requests in memory, and say where the time of each went. It
        costs little, but is not free, so it is off until you start the server with
      </p>
      <pre>MULTIGATE_SLOW_REQUESTS=20{'\n'}MULTIGATE_RECENT_REQUESTS=100</pre>
      <p>
        Values are not kept. <code>MULTIGATE_SLOW_BODIES=true</code> adds the bodies, without the fields that a manifest
        marks, so that a request can be opened in the playground.
      </p>
    </div>
  )
}

/** The server does not show its requests to this reader: why, and what helps. */
export function Refused({ error, again }: { error: AskError; again(): void }) {
  if (!/MULTIGATE_ADMIN/.test(error.message)) return <Failed error={error} again={again} />
  return (
    <div class="card state" role="alert">
      <strong>Administration is not enabled</strong>
      <p>
        Requests say what clients ask for, so that only administrators see them. Start the server with
        MULTIGATE_ADMIN=true, or with MULTIGATE_ADMIN_PORT, which gives administration and this console a port of their
        own.
      </p>
    </div>
  )
}
