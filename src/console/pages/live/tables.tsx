import { sumOf } from '../../../schemas/outcomes.ts'
import type { LiveClient, LiveModel, LiveProcess } from '../../api/live-figures.ts'
import { hrefOf } from '../../base/router.ts'
import { Bar, Card } from '../../parts/controls.tsx'
import { bytes, compact, duration, milliseconds, percent, short } from '../../parts/format.ts'
import { Empty } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

/** Versions that had requests recently. */
export function ModelTable({ models }: { models: LiveModel[] }) {
  return (
    <Card id="live-models" title="Models in use">
      <p class="small muted">Rates of the last ten seconds; p99 is that of the worst second.</p>
      {models.length === 0 ? (
        <Empty title="No recent requests" />
      ) : (
        <Table
          label="Models in use"
          rows={models}
          rowKey={({ model, version }) => `${model}/${version}`}
          columns={[
            {
              title: 'Model',
              cell: ({ model, version }) => (
                <>
                  <a href={hrefOf('models', [model, version])}>
                    <bdi>{model}</bdi>
                  </a>{' '}
                  <span class="muted">{version}</span>
                </>
              ),
            },
            { title: 'Requests/s', value: ({ requests }) => requests, format: compact },
            { title: 'Candidates/s', value: ({ candidates }) => candidates, format: compact },
            { title: 'p50', value: ({ total }) => total?.p50, format: milliseconds },
            { title: 'p99', value: ({ total }) => total?.p99, format: milliseconds },
            { title: 'Failed/s', value: ({ failed }) => sumOf(failed), format: compact },
            { title: 'Shed/s', value: ({ shed }) => sumOf(shed), format: compact },
            { title: 'Rows waiting', value: ({ queue_rows }) => queue_rows, format: compact },
          ]}
        />
      )}
    </Card>
  )
}

/** Keys that had requests recently. */
export function ClientTable({ clients }: { clients: LiveClient[] }) {
  if (clients.length === 0) return null
  return (
    <Card id="live-clients" title="Clients">
      <p class="small muted">Rates of the last ten seconds, by the key that requests came with.</p>
      <Table
        label="Clients"
        rows={clients}
        columns={[
          {
            title: 'Key',
            text: ({ client }) => client,
            href: ({ client, failed, requests }) =>
              hrefOf('requests', [], failed > requests / 2 ? { client, list: 'failed' } : { client }),
          },
          { title: 'Requests/s', value: ({ requests }) => requests, format: compact },
          { title: 'Candidates/s', value: ({ candidates }) => candidates, format: compact },
          { title: 'Failed or refused/s', value: ({ failed }) => failed, format: compact },
        ]}
      />
    </Card>
  )
}

/** `silent`: those that do not answer now. */
export function ProcessTable({ processes, silent }: { processes: LiveProcess[]; silent: number[] }) {
  if (processes.length + silent.length === 0) return null
  return (
    <Card id="live-processes" title="Processes">
      <Table
        label="Processes"
        rows={processes}
        rowKey={({ pid }) => pid}
        columns={[
          { title: 'Process', class: 'mono', cell: ({ pid }) => pid },
          { title: 'Up', value: ({ uptime_seconds }) => uptime_seconds, format: duration },
          { title: 'Memory', value: ({ resident_bytes }) => resident_bytes, format: bytes },
          { title: 'Cores', value: ({ cores }) => cores, format: short },
          { title: 'Event loop busy', cell: ({ loop_busy }) => <Share value={loop_busy} /> },
          { title: 'Workers busy', cell: ({ workers_busy }) => <Share value={workers_busy} /> },
          { title: 'Workers', value: ({ workers }) => workers, format: String },
          { title: 'Workers replaced', value: ({ workers_replaced }) => workers_replaced, format: String },
          { title: 'Connections', value: ({ connections }) => connections, format: String },
        ]}
      >
        {silent.map((pid) => (
          <tr key={pid}>
            <td class="mono">{pid}</td>
            <td colSpan={8}>
              <span class="pill bad">does not answer</span>
            </td>
          </tr>
        ))}
      </Table>
    </Card>
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
