// Writes the Grafana dashboards in deploy/grafana/ from the panels below.
//   node scripts/dashboards.mjs            writes
//   node scripts/dashboards.mjs --check    writes nothing; ends with 1 where a dashboard is out of date
import { writeGenerated } from './generated.mjs'

const instance = 'job=~"$job",instance=~"$instance"'
const model = `${instance},model=~"$model"`
const rate = (metric, labels = instance) => `rate(${metric}{${labels}}[$__rate_interval])`
const quantile = (q, metric, by = '') =>
  `histogram_quantile(${q}, sum by (le${by}) (${rate(`${metric}_bucket`, by === '' ? instance : model)}))`

/** The legend of series by version. */
const version = '{{model}}/{{version}}'

/** title, unit, then pairs of an expression and its legend. */
const dashboards = {
  service: {
    title: 'multigate: service',
    panels: [
      ['Requests by outcome', 'reqps', `sum by (outcome) (${rate('multigate_requests_total')})`, '{{outcome}}'],
      ['Rows', 'rowsps', `sum(${rate('multigate_rows_total')})`, 'rows'],
      [
        'Request duration',
        's',
        ...[0.5, 0.99, 0.999].flatMap((q) => [quantile(q, 'multigate_request_duration_seconds'), `p${100 * q}`]),
      ],
      [
        'Where the time goes (p99)',
        's',
        ...['queue', 'encode', 'infer'].flatMap((stage) => [
          quantile(0.99, `multigate_${stage}_duration_seconds`),
          stage,
        ]),
      ],
      ['Rejected and dropped', 'reqps', `sum by (reason) (${rate('multigate_shed_total')})`, '{{reason}}'],
      ['Cancelled by clients', 'reqps', `sum by (stage) (${rate('multigate_cancelled_total')})`, '{{stage}}'],
      ['Saturation', 'percentunit', `multigate_saturation{${instance}}`, '{{instance}}'],
      ['Connections', 'short', `multigate_connections{${instance}}`, '{{instance}}'],
    ],
  },
  models: {
    title: 'multigate: models',
    panels: [
      ['Requests by version', 'reqps', `sum by (model, version) (${rate('multigate_requests_total', model)})`, version],
      [
        'Request duration (p99)',
        's',
        quantile(0.99, 'multigate_request_duration_seconds', ', model, version'),
        version,
      ],
      ['Models by state', 'short', `max by (state) (multigate_models{${instance}})`, '{{state}}'],
      ['Served versions', 'short', `count by (model, version) (multigate_model_info{${model}})`, version],
      ['Rows by plan', 'rowsps', `sum by (plan) (${rate('multigate_plan_rows_total', model)})`, '{{plan}}'],
      [
        'Candidate cache hits',
        'percentunit',
        `sum by (model) (${rate('multigate_candidate_cache_hits_total', model)}) / (sum by (model) (${rate('multigate_candidate_cache_hits_total', model)}) + sum by (model) (${rate('multigate_candidate_cache_misses_total', model)}))`,
        '{{model}}',
      ],
      ['Candidate cache', 'bytes', `sum by (model, version) (multigate_candidate_cache_bytes{${model}})`, version],
      [
        'Memory of versions',
        'bytes',
        `sum by (model, version, part) (multigate_resident_bytes{${model}})`,
        `${version} {{part}}`,
      ],
      [
        'Batch size (mean rows)',
        'short',
        `sum by (model) (${rate('multigate_batch_rows_sum', model)}) / sum by (model) (${rate('multigate_batch_rows_count', model)})`,
        '{{model}}',
      ],
      [
        'Age of feature tables',
        's',
        `max by (table) (time() - multigate_table_written_timestamp_seconds{${instance}})`,
        '{{table}}',
      ],
      [
        'Keys that feature tables lack',
        'percentunit',
        `sum by (model, entity) (${rate('multigate_entity_keys_total', `${model},result="unknown"`)}) / sum by (model, entity) (${rate('multigate_entity_keys_total', model)})`,
        '{{model}} {{entity}}',
      ],
    ],
  },
  drift: {
    title: 'multigate: drift',
    panels: [
      [
        'Drift of features (PSI)',
        'short',
        `max by (model, version, feature) (multigate_drift_psi{${model},feature!=""})`,
        `${version} {{feature}}`,
      ],
      [
        'Drift of tasks (PSI)',
        'short',
        `max by (model, version, task) (multigate_drift_psi{${model},task!=""})`,
        `${version} {{task}}`,
      ],
      [
        'Mean prediction',
        'percentunit',
        `avg by (model, version, task) (multigate_prediction_mean{${model}})`,
        `${version} {{task}}`,
      ],
      [
        'Unknown values',
        'short',
        `sum by (model, feature) (${rate('multigate_unknown_values_total', model)})`,
        '{{model}} {{feature}}',
      ],
    ],
  },
  log: {
    title: 'multigate: prediction log',
    panels: [
      ['Requests recorded', 'reqps', `sum by (instance) (${rate('multigate_log_records_total')})`, '{{instance}}'],
      ['Requests missing', 'reqps', `sum by (reason) (${rate('multigate_log_dropped_total')})`, '{{reason}}'],
      ['Waiting to be written', 'bytes', `multigate_log_buffer_bytes{${instance}}`, '{{instance}}'],
      [
        'Finished files, of their bound',
        'percentunit',
        `multigate_log_disk_bytes{${instance}} / multigate_log_disk_limit_bytes{${instance}}`,
        '{{instance}}',
      ],
    ],
  },
  capacity: {
    title: 'multigate: capacity',
    panels: [
      ['Saturation', 'percentunit', `multigate_saturation{${instance}}`, '{{instance}}'],
      ['Event loop busy', 'percentunit', rate('multigate_event_loop_busy_seconds_total'), '{{instance}}'],
      ['Workers', 'short', `multigate_workers{${instance}}`, '{{instance}}'],
      ['Calls in flight', 'short', `sum by (instance) (multigate_in_flight_batches{${instance}})`, '{{instance}}'],
      ['Queued rows', 'short', `sum by (instance) (multigate_queue_rows{${instance}})`, '{{instance}}'],
      ['Predicted wait', 's', `max by (instance) (multigate_predicted_wait_seconds{${instance}})`, '{{instance}}'],
      ['Memory', 'bytes', `process_resident_memory_bytes{${instance}}`, '{{instance}}'],
      [
        'Bodies and responses in memory',
        'bytes',
        `multigate_pending_body_bytes{${instance}}`,
        'bodies {{instance}}',
        `multigate_pending_answer_bytes{${instance}}`,
        'responses {{instance}}',
      ],
    ],
  },
}

for (const [name, dashboard] of Object.entries(dashboards)) {
  const text = `${JSON.stringify(describe(name, dashboard), null, 2)}\n`
  writeGenerated(`deploy/grafana/${name}.json`, text, 'node scripts/dashboards.mjs')
}

function describe(name, { title, panels }) {
  const datasource = { type: 'prometheus', uid: '$datasource' }
  const variable = (name, label, query) => ({
    name,
    label,
    type: 'query',
    datasource,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  })
  return {
    uid: `multigate-${name}`,
    title,
    tags: ['multigate'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    links: [{ type: 'dashboards', tags: ['multigate'], title: 'multigate', asDropdown: false, keepTime: true }],
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        variable('job', 'Job', 'label_values(multigate_saturation, job)'),
        variable('instance', 'Instance', 'label_values(multigate_saturation{job=~"$job"}, instance)'),
        ...(['models', 'drift'].includes(name)
          ? [variable('model', 'Model', 'label_values(multigate_model_info{job=~"$job"}, model)')]
          : []),
      ],
    },
    panels: panels.map(([title, unit, ...pairs], i) => ({
      id: i + 1,
      type: 'timeseries',
      title,
      datasource,
      gridPos: { x: 12 * (i % 2), y: 8 * Math.floor(i / 2), w: 12, h: 8 },
      fieldConfig: {
        defaults: { unit, min: 0, ...(unit === 'percentunit' ? { max: 1 } : {}), custom: { fillOpacity: 10 } },
        overrides: [],
      },
      options: { legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] } },
      targets: pairs.flatMap((expr, j) =>
        j % 2 === 0 ? [{ refId: String.fromCharCode(65 + j / 2), datasource, expr, legendFormat: pairs[j + 1] }] : [],
      ),
    })),
  }
}
