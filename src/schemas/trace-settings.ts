import Type from 'typebox'

/** Settings of traces, part of the configuration. */
export const traceSettings = {
  MULTIGATE_TRACES: Type.Union([Type.Literal('off'), Type.Literal('http'), Type.Literal('grpc')], {
    default: 'off',
    description:
      'Send traces by OpenTelemetry, as OTLP over HTTP or gRPC; `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_…` apply',
  }),
  MULTIGATE_TRACES_ENDPOINT: Type.String({
    default: '',
    description:
      'Base URL of the collector; when empty, `OTEL_EXPORTER_OTLP_ENDPOINT`, or port 4318 (HTTP) or 4317 (gRPC) of this host',
  }),
  MULTIGATE_TRACES_SAMPLE: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.01,
    description: 'Share of traces that are kept; a request with a `traceparent` header is kept if its parent is',
  }),
}
