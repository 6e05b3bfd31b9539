import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { Counter, type Registry } from 'prom-client'
import { hideCredentials, hideCredentialsIn } from '../base/address-credentials.ts'
import { systemClock } from '../base/clock.ts'
import { missingPackage } from '../base/optional-packages.ts'
import { multigateVersion } from '../base/project.ts'
import type { Configuration } from '../schemas/configuration.ts'
import type { Traces } from '../server/telemetry/traces.ts'
import type { Log } from './load-options.ts'

/** Time between two warnings that traces can't be sent, ms. */
const warningInterval = 60_000

/**
 * Traces, sent as the settings say; undefined where they are off, and nothing of OpenTelemetry is loaded then.
 * `registry` gets what is counted of them. Rejects where OpenTelemetry is not installed.
 */
export async function openTraces(
  configuration: Configuration,
  { log, registry }: { log: Log; registry: Registry },
): Promise<Traces | undefined> {
  const { MULTIGATE_TRACES, MULTIGATE_TRACES_ENDPOINT, MULTIGATE_TRACES_SAMPLE } = configuration
  if (MULTIGATE_TRACES === 'off') return undefined
  if (MULTIGATE_TRACES_ENDPOINT !== '' && !isHttpUrl(MULTIGATE_TRACES_ENDPOINT))
    throw new Error(
      `MULTIGATE_TRACES_ENDPOINT: ${JSON.stringify(hideCredentials(MULTIGATE_TRACES_ENDPOINT))} is no URL, such as http://collector:4318`,
    )
  try {
    const [exporter, { createOpenTelemetry }] = await Promise.all([
      openExporter(MULTIGATE_TRACES, MULTIGATE_TRACES_ENDPOINT),
      import('../server/telemetry/open-telemetry.ts'),
    ])
    return createOpenTelemetry({
      wallClock: Date.now,
      exporter,
      sample: MULTIGATE_TRACES_SAMPLE,
      version: multigateVersion,
      now: systemClock.now,
      onExported: reportExports(log, registry),
    })
  } catch (error) {
    const missing = missingPackage(error)
    throw missing === undefined ? error : new Error(`MULTIGATE_TRACES: ${missing}`)
  }
}

/** OTLP; without an endpoint, and for headers and certificates, by the `OTEL_EXPORTER_OTLP_…` variables. */
async function openExporter(protocol: 'http' | 'grpc', endpoint: string): Promise<SpanExporter> {
  // Longer than that, and the next spans wait for these.
  const options = { timeoutMillis: 4_000, concurrencyLimit: 2 }
  if (protocol === 'grpc') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc')
    return new OTLPTraceExporter({ ...options, ...(endpoint !== '' && { url: endpoint }) })
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter({ ...options, ...(endpoint !== '' && { url: tracesUrl(endpoint) }) })
}

/** As OpenTelemetry has it: a base URL, to which the path of traces is added. */
function tracesUrl(endpoint: string): string {
  const { href, pathname } = new URL(endpoint)
  return pathname.endsWith('/v1/traces') ? href : `${href.replace(/\/$/, '')}/v1/traces`
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** Counts spans, and warns now and then where they can't be sent. */
function reportExports(log: Log, registry: Registry): (spans: number, error: Error | undefined) => void {
  const spans = new Counter({
    name: 'multigate_spans_total',
    help: 'Spans of traces, by result: exported or failed',
    labelNames: ['result'],
    registers: [registry],
  })
  for (const result of ['exported', 'failed']) spans.inc({ result }, 0)
  let warned = Number.NEGATIVE_INFINITY
  return (count, error) => {
    spans.inc({ result: error === undefined ? 'exported' : 'failed' }, count)
    if (error === undefined || systemClock.now() - warned < warningInterval) return
    warned = systemClock.now()
    log.warn({ reason: hideCredentialsIn(error.message) }, 'traces could not be sent; requests are not affected')
  }
}
