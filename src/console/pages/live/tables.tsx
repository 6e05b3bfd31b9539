import type { LiveClient, LiveModel, LiveProcess } from '../../api/live-figures.ts'
import { hrefOf } from '../../base/router.ts'
import { Bar, Scroll } from '../../parts/controls.tsx'
import { bytes, compact, duration, milliseconds, percent, short } from '../../parts/format.ts'
import { Empty } from '../../parts/states.tsx'

const total = (rates: Record<string, number>) => Object.values(rates).reduce((sum, rate) => sum + rate, 0)
const inMs = (value: number | undefined) => (value === undefined ? '–' : milliseconds(value))

/** Versions that had requests recently. */
export function ModelTable({ models }: { models: LiveModel[] }) {
  return (
    <section class="card" aria-labelledby="live-models">
      <h2 id="live-models">Models in use</h2>
      <p class="small muted">Rates of the last ten seconds; p99 is that of the worst second.</p>
      {models.length === 0 ? (
        <Empty title="No recent requests" />
      ) : (
        <Scroll label="Models in use">
          <table>
            <thead>
              <tr>
                <th>Model</th>
                <th class="number">Requests/s</th>
                <th class="number">Candidates/s</th>
                <th class="number">p50</th>
                <th class="number">p99</th>
                <th class="number">Failed/s</th>
                <th class="number">Shed/s</th>
                <th class="number">Rows waiting</th>
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <tr key={`${model.model}/${model.version}`}>
                  <td>
                    <a href={hrefOf('models', [model.model, model.version])}>
                      <bdi>{model.model}</bdi>
                    </a>{' '}
                    <span class="muted">{model.version}</span>
                  </td>
                  <td class="number">{compact(model.requests)}</td>
                  <td class="number">{compact(model.candidates)}</td>
                  <td class="number">{inMs(model.total?.p50)}</td>
                  <td class="number">{inMs(model.total?.p99)}</td>
                  <td class="number">{compact(total(model.failed))}</td>
                  <td class="number">{compact(total(model.shed))}</td>
                  <td class="number">{compact(model.queue_rows)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  )
}

/** Keys that had requests recently. */
export function ClientTable({ clients }: { clients: LiveClient[] }) {
  if (clients.length === 0) return null
  return (
    <section class="card" aria-labelledby="live-clients">
      <h2 id="live-clients">Clients</h2>
      <p class="small muted">Rates of the last ten seconds, by the key that requests came with.</p>
      <Scroll label="Clients">
        <table>
          <thead>
            <tr>
              <th>Key</th>
              <th class="number">Requests/s</th>
              <th class="number">Candidates/s</th>
              <th class="number">Failed or refused/s</th>
            </tr>
          </thead>
          <tbody>
            {clients.map(({ client, requests, candidates, failed }) => (
              <tr key={client}>
                <td>
                  <a href={hrefOf('requests', [], failed > requests / 2 ? { client, list: 'failed' } : { client })}>
                    <bdi>{client}</bdi>
                  </a>
                </td>
                <td class="number">{compact(requests)}</td>
                <td class="number">{compact(candidates)}</td>
                <td class="number">{compact(failed)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  )
}

/** `silent`: those that do not answer now. */
export function ProcessTable({ processes, silent }: { processes: LiveProcess[]; silent: number[] }) {
  if (processes.length + silent.length === 0) return null
  return (
    <section class="card" aria-labelledby="live-processes">
      <h2 id="live-processes">Processes</h2>
      <Scroll label="Processes">
        <table>
          <thead>
            <tr>
              <th>Process</th>
              <th class="number">Up</th>
              <th class="number">Memory</th>
              <th class="number">Cores</th>
              <th>Event loop busy</th>
              <th>Workers busy</th>
              <th class="number">Workers</th>
              <th class="number">Workers replaced</th>
              <th class="number">Connections</th>
            </tr>
          </thead>
          <tbody>
            {processes.map((one) => (
              <tr key={one.pid}>
                <td class="mono">{one.pid}</td>
                <td class="number">{duration(one.uptime_seconds)}</td>
                <td class="number">{bytes(one.resident_bytes)}</td>
                <td class="number">{short(one.cores)}</td>
                <td>
                  <Share value={one.loop_busy} />
                </td>
                <td>
                  <Share value={one.workers_busy} />
                </td>
                <td class="number">{one.workers}</td>
                <td class="number">{one.workers_replaced}</td>
                <td class="number">{one.connections}</td>
              </tr>
            ))}
            {silent.map((pid) => (
              <tr key={pid}>
                <td class="mono">{pid}</td>
                <td colSpan={8}>
                  <span class="pill bad">does not answer</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  )
}

function Share({ value }: { value: number }) {
  return (
    <span class="row">
      <Bar share={value} colour={value > 0.9 ? 'var(--bad)' : 'var(--series-1)'} />
      <span class="small">{percent(value, 2)}</span>
    </span>
  )
}
