/*
 * The JSON schema of the chart's values. scripts/chart-files.mjs writes it into the chart.
 */

/** Draft 7, which every Helm 3 reads. `settings`: the schema of the configuration. */
export function valuesSchema(settings) {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart multigate',
    ...values(settings),
  }
}

const described = (schema, description) => (description === undefined ? schema : { ...schema, description })
const text = (description, more = {}) => described({ type: 'string', ...more }, description)
const flag = (description) => described({ type: 'boolean' }, description)
const choice = (values, description) => described({ type: 'string', enum: values }, description)
const integer = (minimum, maximum, description) => described({ type: 'integer', minimum, maximum }, description)
const object = (properties, description) =>
  described({ type: 'object', additionalProperties: false, properties }, description)
/** Objects of Kubernetes, which checks them itself. */
const list = (description) => described({ type: 'array', items: { type: 'object' } }, description)
const map = (description) => described({ type: 'object', additionalProperties: { type: 'string' } }, description)
const free = (description) => described({ type: 'object' }, description)

/** A name of an object of Kubernetes, or none. */
const name = (description) => text(description, { pattern: '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$' })
const file = (description) => text(description, { pattern: '^[-._a-zA-Z0-9]+$', maxLength: 253 })
const quantity = (description) => text(description, { pattern: '^[1-9][0-9]*(\\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?$' })
const duration = (description) => text(description, { pattern: '^[1-9][0-9]*(ms|s|m|h)$' })
/** A number of pods, or a share of them. */
const pods = (description) =>
  described(
    {
      anyOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', pattern: '^(100|[1-9]?[0-9])%$' },
      ],
    },
    description,
  )
const port = (description) => integer(1, 65535, description)

const probe = (description) =>
  object(
    { periodSeconds: integer(1, 3600), timeoutSeconds: integer(1, 600), failureThreshold: integer(1, 1000) },
    description,
  )
const smallResources = object(
  {
    cpu: { type: ['string', 'integer'], pattern: '^[1-9][0-9]*m?$', minimum: 1, description: 'Cores' },
    memory: quantity('Bytes'),
  },
  'Requests and limits',
)
const secretKey = (description) =>
  object({ name: name('Name of the Secret'), key: file('Key in the Secret') }, description)
const spread = choice(['ScheduleAnyway', 'DoNotSchedule', 'none'])

/** The parts of the configuration that a chart can state: types, bounds, choices, `words` for numbers, descriptions. */
export function settingsSchema({ properties }, nameOf, words) {
  const schemaOf = ({ anyOf, type, minimum, exclusiveMinimum, maximum, minLength, description, default: value }) =>
    JSON.parse(
      JSON.stringify(
        anyOf === undefined
          ? { type, minimum, exclusiveMinimum, maximum, minLength, description, default: value }
          : { type: 'string', enum: anyOf.map((literal) => literal.const), description, default: value },
      ),
    )
  const withWords = (schema, names) =>
    names === undefined
      ? schema
      : { ...schema, type: [schema.type, 'string'], pattern: `^(${Object.keys(names).join('|')})$` }
  const entries = Object.entries(properties).map(([key, schema]) => [
    nameOf(key),
    withWords(schemaOf(schema), words[key]),
  ])
  return object(
    Object.fromEntries(entries),
    'Settings of the server, by the names of docs/configuration.md in camelCase',
  )
}

function values(settings) {
  return object({
    global: free('Values of a parent chart'),
    nameOverride: text('Replaces the name of the chart in labels', { maxLength: 63 }),
    fullnameOverride: name('Replaces the name of every object'),
    image: object({
      repository: text('The image, without its tag', { minLength: 1 }),
      tag: text('Default: the appVersion of the chart', { pattern: '^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$' }),
      digest: text('Takes precedence over the tag', { pattern: '^(sha256:[0-9a-f]{64})?$' }),
      pullPolicy: choice(['Always', 'IfNotPresent', 'Never']),
    }),
    imagePullSecrets: list('Secrets to pull the image with'),
    replicas: integer(0, 1000, 'Pods, without autoscaling'),
    resources: object({
      cpus: integer(1, 1024, 'Whole cores, as requests and limits'),
      memory: quantity('Memory, as requests and limits'),
    }),
    settings,
    ...models(),
    ...predictionLog(),
    ...security(),
    cache: object({
      existingClaim: name('Claim for compiled graphs'),
      sizeLimit: quantity('Largest size without a claim'),
    }),
    tmp: object({ sizeLimit: quantity('Largest size of /tmp') }),
    service: object({
      type: choice(['ClusterIP', 'NodePort', 'LoadBalancer']),
      port: port('Port of predictions'),
      annotations: map(),
    }),
    adminService: object({ port: port('Port of administration and metrics'), annotations: map() }),
    probes: object({
      startup: probe('`/livez`, until the server listens'),
      readiness: probe('`/readyz`'),
      liveness: probe('`/livez`'),
    }),
    autoscaling: autoscaling(),
    podDisruptionBudget: object({
      enabled: flag(),
      maxUnavailable: pods('Pods that a drain of nodes may stop together'),
    }),
    updateStrategy: object({ maxSurge: pods(), maxUnavailable: pods() }),
    progressDeadlineSeconds: integer(30, 86_400, 'How long a rollout may make no progress before it counts as failed'),
    topologySpread: object({ zone: spread, node: spread }, 'How evenly pods are spread'),
    networkPolicy: networkPolicy(),
    metrics: metrics(),
    ...pod(),
    tests: object({ keySecret: secretKey('A key with the scope predict'), resources: smallResources }, '`helm test`'),
  })
}

const models = () => ({
  models: object({
    source: text('Where models are copied from', { pattern: '^((s3|gs|https?|oci)://[^\\s]+)?$' }),
    existingClaim: name('Claim of a volume with models'),
    fromImage: flag('Whether the models in the image serve where there is neither a source nor a claim'),
    sizeLimit: quantity('Largest size of the copy of a source'),
    sync: object({
      intervalSeconds: integer(1, 86400, 'How often the source is asked'),
      port: port('Port of metrics and `/livez`'),
      env: list('Variables, such as credentials'),
      envFrom: list('Secrets and ConfigMaps of variables'),
      volumeMounts: list('Mounts of extraVolumes, such as files of credentials'),
      resources: smallResources,
    }),
  }),
})

const predictionLog = () => ({
  predictionLog: object(
    {
      enabled: flag('Whether requests are recorded'),
      existingClaim: name('Claim of a volume for the files'),
      sizeLimit: quantity('Largest size without a claim'),
    },
    'Records of requests',
  ),
})

const security = () => ({
  keys: object({ secret: name('Secret with the file of keys'), file: file('The file in the Secret') }, 'API keys'),
  tls: object({
    secret: name('Secret of the type kubernetes.io/tls'),
    clientCa: object({ secret: name('Secret with authorities for clients'), file: file('The file in the Secret') }),
    clientSecret: name('Secret with a client certificate for probes, Prometheus and tests'),
  }),
  modelKeys: object({ configMap: name('ConfigMap with public keys'), file: file('The file in the ConfigMap') }),
})

const autoscaling = () =>
  object({
    mode: choice(['none', 'cpu', 'saturation'], 'HorizontalPodAutoscaler on CPU, or KEDA on multigate_saturation'),
    minReplicas: integer(1, 1000),
    maxReplicas: integer(1, 1000),
    cpu: object({ utilization: integer(1, 100, 'Percent of the requested cores') }),
    saturation: object({
      prometheusUrl: text('Address of Prometheus', { pattern: '^(https?://[^\\s]+)?$' }),
      target: { type: 'number', exclusiveMinimum: 0, maximum: 1, description: 'Saturation of each pod to keep' },
      query: text('PromQL of the saturation of all pods'),
      authenticationRef: free('TriggerAuthentication of KEDA, for a Prometheus that asks for one'),
      metadata: map('Further metadata of the trigger, such as authModes'),
    }),
    scaleUp: object({ pods: integer(1, 1000, 'Pods that may be added per 15 s') }),
    scaleDown: object({
      stabilizationSeconds: integer(0, 3600, 'How long fewer pods must have been enough'),
      percent: integer(1, 100, 'Share of pods that may be removed per minute'),
    }),
    targetRef: object({ apiVersion: text(), kind: text(), name: name() }, 'What is scaled instead of the Deployment'),
  })

const networkPolicy = () =>
  object({
    enabled: flag(),
    serving: object({ from: list('Who may send predictions; empty: everyone') }),
    admin: object({ from: list('Who may administer and read metrics; empty: nobody') }),
    egress: object({ sync: list('Rules for the source of models'), extra: list('Further rules') }),
  })

const metrics = () =>
  object({
    serviceMonitor: object({
      enabled: flag(),
      interval: duration('How often metrics are read'),
      labels: map('Labels by which Prometheus selects it'),
      podTargetLabels: { type: 'array', items: { type: 'string' } },
      keySecret: secretKey('A key with the scope metrics'),
      tlsConfig: free('How Prometheus verifies the certificate'),
    }),
    prometheusRule: object({ enabled: flag(), labels: map('Labels by which Prometheus selects it') }),
    dashboards: object({ enabled: flag(), labels: map('Labels by which Grafana selects them'), annotations: map() }),
  })

const pod = () => ({
  serviceAccount: object({ create: flag(), name: name(), annotations: map() }),
  podAnnotations: map(),
  podLabels: map(),
  podSecurityContext: free(),
  securityContext: free(),
  nodeSelector: map(),
  tolerations: list(),
  affinity: free(),
  priorityClassName: name(),
  extraEnv: list(),
  extraEnvFrom: list(),
  extraVolumes: list(),
  extraVolumeMounts: list(),
  extraContainers: list(),
  initContainers: list(),
})
