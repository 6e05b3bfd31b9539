import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { checkConfiguration, longestStop } from '../../src/base/configuration.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { valueSets } from '../support/chart-values.ts'
import { chart, findHelm, lint, render } from '../support/helm.ts'
import { pythonWith } from '../support/python.ts'

/*
 * The Helm chart, as Helm renders it and Kubernetes reads it.
 */

const root = join(import.meta.dirname, '../../..')
const { helm, skip } = await findHelm()
const python = await pythonWith(['kubernetes-validate==1.37.0'])
const needsBoth = { skip: skip || (typeof python === 'string' ? python : false) }
const isCore = ({ apiVersion }: { apiVersion: string }) => !/monitoring\.coreos\.com|keda\.sh/.test(apiVersion)

t.test('Helm finds nothing to complain about', { skip }, async (t) => {
  for (const [name, values] of Object.entries(valueSets)) t.equal(await lint(t, helm, values), undefined, name)
})

t.test('every object is valid in every supported version of Kubernetes', needsBoth, async (t) => {
  if (typeof python === 'string') return
  const validate = async (objects: object[]) => {
    const file = join(await temporaryFolder(t), 'objects.json')
    await writeFile(file, JSON.stringify({ from: '1.29', objects }))
    return JSON.parse(await python.run('kubernetes/validate.py', [file])) as { versions: string[]; problems: string[] }
  }
  const objects = (await Promise.all(Object.values(valueSets).map((values) => render(t, helm, values)))).flatMap(
    ({ objects, error }) => {
      t.equal(error, undefined)
      return objects.filter(isCore)
    },
  )
  const { versions, problems } = await validate(objects)
  t.equal(versions[0], '1.29')
  t.ok(versions.length > 8)
  t.same(problems, [])

  const [deployment] = objects.filter(({ kind }) => kind === 'Deployment')
  deployment.spec.template.spec.containers[0].livenessProbe.timeout = 5
  const misspelt = await validate([deployment])
  t.match(
    misspelt.problems[0],
    /Deployment \/spec\/template\/spec\/containers\/0\/livenessProbe: .*'timeout' was unexpected/,
  )
})

/** The objects of these values by kind; those of one kind by name. */
async function kinds(t: Test, values: object): Promise<Record<string, any>> {
  const { objects, error } = await render(t, helm, values)
  if (error !== undefined) throw new Error(error)
  return Object.fromEntries(objects.map((object) => [object.kind, object]))
}

const podsOf = (objects: any[]): any[] =>
  objects.flatMap(({ kind, spec }) => (kind === 'Pod' ? [spec] : kind === 'Deployment' ? [spec.template.spec] : []))
const podOf = ({ Deployment }: Record<string, any>) => Deployment.spec.template.spec
const serverOf = (objects: Record<string, any>) => podOf(objects).containers[0]

t.test('a pod gets the time that the server needs to stop', { skip }, async (t) => {
  for (const drainDelayMs of [0, 1, 10_000, 600_000]) {
    const { terminationGracePeriodSeconds } = podOf(await kinds(t, { settings: { drainDelayMs } }))
    const needed = longestStop(checkConfiguration({ MULTIGATE_DRAIN_DELAY_MS: String(drainDelayMs) })) / 1000
    t.ok(terminationGracePeriodSeconds >= needed + 5, `${drainDelayMs}: ${terminationGracePeriodSeconds}`)
    t.ok(terminationGracePeriodSeconds <= needed + 6, `${drainDelayMs}: ${terminationGracePeriodSeconds}`)
  }
})

t.test('pods have guaranteed resources and no privileges', { skip }, async (t) => {
  for (const [name, values] of Object.entries(valueSets)) {
    const { objects } = await render(t, helm, values)
    const pods = podsOf(objects)
    t.equal(pods.length, 2, name)
    for (const pod of pods) {
      t.match(pod, { automountServiceAccountToken: false, enableServiceLinks: false })
      t.match(pod.securityContext, { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } })
      // Containers of the test's own values are not the chart's.
      for (const container of [...(pod.initContainers ?? []), ...pod.containers].filter(({ image }) =>
        /multigate/.test(image),
      )) {
        t.match(container.resources, { requests: { cpu: String, memory: String } }, `${name}: ${container.name}`)
        t.same(container.resources.requests, container.resources.limits)
        t.same(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
      }
    }
  }
  t.equal(serverOf(await kinds(t, valueSets.everything!)).resources.limits.cpu, '4')
})

t.test('every setting becomes its variable, numbers in full', { skip }, async (t) => {
  const { env } = serverOf(await kinds(t, valueSets.everything!))
  const variables = Object.fromEntries(env.map(({ name, value }: { name: string; value: string }) => [name, value]))
  t.match(variables, {
    MULTIGATE_REQUIRED_MODELS: 'ads-funnel,census-income',
    MULTIGATE_MAX_PENDING_BYTES: '1073741824',
    MULTIGATE_TRACES_SAMPLE: '0.001',
    MULTIGATE_LOG_REQUESTS: 'true',
    MULTIGATE_KEYS: '/etc/multigate/keys/keys.json',
    MULTIGATE_TLS_CLIENT_CA: '/etc/multigate/client-ca/ca.crt',
    OTEL_SERVICE_NAME: 'ranker',
  })
  const settings = Object.fromEntries(Object.entries(variables).filter(([name]) => name.startsWith('MULTIGATE_')))
  t.doesNotThrow(() => checkConfiguration(settings as Record<string, string>))
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')).properties.settings.properties
  const everySetting = Object.fromEntries(
    Object.entries<any>(schema).map(([name, { default: value }]) => [name, value]),
  )
  // With the default of host nothing could be sent.
  const settingsOfAll = { ...everySetting, host: '0.0.0.0' }
  const all = serverOf(await kinds(t, { settings: settingsOfAll })).env.map(({ name }: { name: string }) => name)
  t.same(all.sort(), Object.keys(checkConfiguration({})).sort())
})

t.test('processes are a number or auto', { skip }, async (t) => {
  for (const processes of [0, 2, 'auto']) {
    const { env } = serverOf(await kinds(t, { settings: { processes } }))
    t.match(
      env.find(({ name }: { name: string }) => name === 'MULTIGATE_PROCESSES'),
      { value: String(processes) },
    )
  }
})

t.test('a port for this host alone is fine where probes have another way', { skip }, async (t) => {
  const settings = { host: '127.0.0.1' }
  t.equal((await render(t, helm, { settings })).error, undefined, 'the administration port')
  const { tls, keys } = valueSets.everything as { tls: object; keys: object }
  const local = { ...settings, adminHost: '127.0.0.1' }
  t.equal((await render(t, helm, { settings: local, tls, keys })).error, undefined, 'probes in the pod')
})

t.test('one autoscaler at a time, which owns the number of pods', { skip }, async (t) => {
  const fixed = await kinds(t, { replicas: 5 })
  t.equal(fixed.Deployment.spec.replicas, 5)
  t.notMatch(fixed, { HorizontalPodAutoscaler: Object })
  const cpu = await kinds(t, { autoscaling: { mode: 'cpu' } })
  t.equal(cpu.Deployment.spec.replicas, undefined)
  t.equal(cpu.ScaledObject, undefined)
  t.match(cpu.HorizontalPodAutoscaler.spec, { scaleTargetRef: { kind: 'Deployment', name: 'ads-multigate' } })
  const { Deployment, ScaledObject, HorizontalPodAutoscaler } = await kinds(t, valueSets.saturation!)
  t.equal(Deployment.spec.replicas, undefined)
  t.equal(HorizontalPodAutoscaler, undefined)
  t.match(ScaledObject.spec.triggers, [
    {
      metricType: 'AverageValue',
      metadata: {
        query: 'sum(multigate_saturation{namespace="ranking",pod=~"ads-multigate-[a-z0-9]+-[a-z0-9]{5}"})',
        threshold: '0.65',
        ignoreNullValues: 'false',
      },
    },
  ])
  const { scaleUp, scaleDown } = ScaledObject.spec.advanced.horizontalPodAutoscalerConfig.behavior
  t.ok(scaleUp.stabilizationWindowSeconds < scaleDown.stabilizationWindowSeconds)
  const rollout = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout' }
  t.match((await kinds(t, { autoscaling: { mode: 'cpu', targetRef: rollout } })).HorizontalPodAutoscaler.spec, {
    scaleTargetRef: { ...rollout, name: 'ads-multigate' },
  })
})

t.test('a source is copied once before the server starts, and then kept current', { skip }, async (t) => {
  const pod = podOf(await kinds(t, valueSets.source!))
  const [first, sync] = pod.initContainers
  // Four fifths of models.sizeLimit, 10Gi.
  const limit = ['--max-bytes', '8589934592']
  t.same(first.command, ['node', 'dist/cli.js', 'sync', 'gs://models/ranking', '/models', ...limit, '--once'])
  t.equal(sync.restartPolicy, 'Always')
  const variable = ({ env }: any, wanted: string) => env.find(({ name }: any) => name === wanted)?.value
  t.equal(variable(pod.containers[0], 'MULTIGATE_CACHE_BYTES'), '858993459', 'four fifths of cache.sizeLimit')
  const given = podOf(await kinds(t, { cache: { sizeLimit: '1.5Ti' }, settings: { cacheBytes: 7 } }))
  t.equal(variable(given.containers[0], 'MULTIGATE_CACHE_BYTES'), '7')
  t.same(sync.command.slice(3), ['gs://models/ranking', '/models', ...limit, '--interval', '60', '--port', '9091'])
  const mountOf = ({ volumeMounts }: any) => volumeMounts.find(({ name }: any) => name === 'models')
  t.same(mountOf(sync), { name: 'models', mountPath: '/models' })
  t.same(mountOf(pod.containers[0]), { name: 'models', mountPath: '/models', readOnly: true })
  t.notOk(mountOf(serverOf(await kinds(t, {}))), 'models of the image')

  // Every container has the volumes that it mounts.
  for (const [name, values] of Object.entries(valueSets))
    for (const pod of podsOf((await render(t, helm, values)).objects))
      for (const { volumeMounts = [] } of [...(pod.initContainers ?? []), ...pod.containers])
        for (const mount of volumeMounts)
          t.ok(
            pod.volumes.some((volume: { name: string }) => volume.name === mount.name),
            `${name}: ${mount.name}`,
          )
})

t.test('a prediction log has a volume and bounds', { skip }, async (t) => {
  const pod = podOf(await kinds(t, { predictionLog: { enabled: true } }))
  t.equal(pod.initContainers, undefined)
  t.match(
    pod.volumes.find(({ name }: any) => name === 'prediction-log'),
    { emptyDir: { sizeLimit: '10Gi' } },
  )
  const variables = Object.fromEntries(pod.containers[0].env.map(({ name, value }: any) => [name, value]))
  const folder = '/var/lib/multigate/prediction-log'
  t.match(variables, { MULTIGATE_PREDICTION_LOG: folder, MULTIGATE_PREDICTION_LOG_MAX_BYTES: '8589934592' })
  const claimed = podOf(await kinds(t, { predictionLog: { enabled: true, existingClaim: 'log' } }))
  t.match(
    claimed.volumes.find(({ name }: any) => name === 'prediction-log'),
    { persistentVolumeClaim: { claimName: 'log' } },
  )
})

t.test('rules and dashboards are those of deploy/', { skip }, async (t) => {
  const { objects } = await render(t, helm, valueSets.everything!)
  const { groups } = objects.find(({ kind }) => kind === 'PrometheusRule').spec
  const rules = ['alerts', 'rules'].flatMap(
    (file) => parse(readFileSync(join(root, `deploy/prometheus/${file}.yaml`), 'utf8')).groups,
  )
  t.same(
    groups.map((group: any) => group.rules),
    rules.map((group: any) => group.rules),
  )
  const names = groups.map(({ name }: { name: string }) => name)
  t.equal(new Set(names).size, names.length, 'groups of one object have different names')
  const dashboards = objects.filter(({ kind }) => kind === 'ConfigMap')
  t.equal(dashboards.length, 5)
  for (const { metadata, data } of dashboards) {
    t.equal(metadata.labels.grafana_dashboard, '1')
    for (const [name, text] of Object.entries<string>(data))
      t.equal(text, readFileSync(join(root, 'deploy/grafana', name.replace('multigate-', '')), 'utf8'))
  }
})

t.test('administration and metrics are reached by those who are named', { skip }, async (t) => {
  const { spec } = (await kinds(t, valueSets.everything!)).NetworkPolicy
  const [serving, admin] = spec.ingress
  t.same(serving.ports, [{ protocol: 'TCP', port: 3000 }])
  t.match(serving.from, [{ podSelector: { matchLabels: { app: 'ads-backend' } } }, { podSelector: {} }])
  t.same(
    admin.ports.map(({ port }: { port: number }) => port),
    [3001, 9091],
  )
  t.match(admin.from, [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }])
  t.same(
    spec.egress.map(({ ports }: any) => ports.map(({ port }: any) => port)),
    [[53, 53, 5353, 5353], [443], [80, 988], [4317]],
  )
  const nobody = (await kinds(t, { networkPolicy: { admin: { from: [] } } })).NetworkPolicy.spec
  t.equal(nobody.ingress.length, 1)
})

/** Values that make no sense, and what the refusal says. */
const nonsense: [object, RegExp][] = [
  [{ setings: {} }, /additional properties 'setings' not allowed/],
  [{ settings: { prot: 3000 } }, /at '\/settings': additional properties 'prot' not allowed/],
  [{ settings: { port: 70000 } }, /at '\/settings\/port': maximum: got 70,000, want 65,535/],
  [{ settings: { port: 0 } }, /settings\.port must be above 0/],
  [{ settings: { processes: 'many' } }, /at '\/settings\/processes': 'many' does not match/],
  [{ settings: { processes: 257 } }, /at '\/settings\/processes': maximum: got 257, want 256/],
  [
    { settings: { host: '127.0.0.1', adminHost: 'localhost' } },
    /settings\.host .* can never be ready: set it to 0\.0\.0\.0/,
  ],
  [{ settings: { host: null, adminPort: 0 } }, /settings\.host .* can never be ready/],
  [{ settings: { models: '' } }, /at '\/settings\/models': minLength/],
  [{ settings: { adminPort: 3000 } }, /settings\.adminPort must differ from settings\.port/],
  [{ settings: { deadlineMs: 0 } }, /at '\/settings\/deadlineMs': exclusiveMinimum/],
  [{ settings: { workers: 1.5 } }, /at '\/settings\/workers': got number, want integer/],
  [{ settings: { logLevel: 'loud' } }, /at '\/settings\/logLevel': value must be one of 'trace', 'debug'/],
  [{ settings: { admin: true, adminPort: 0 } }, /settings\.admin lets everyone .* set keys\.secret/],
  [{ resources: { cpus: 0.5 } }, /at '\/resources\/cpus': got number, want integer/],
  [{ resources: { cpus: 0 } }, /at '\/resources\/cpus': minimum/],
  [{ resources: { memory: 'much' } }, /at '\/resources\/memory': 'much' does not match/],
  [{ replicas: -1 }, /at '\/replicas': minimum/],
  [{ image: { repository: '' } }, /at '\/image\/repository': minLength/],
  [{ image: { digest: 'latest' } }, /at '\/image\/digest'/],
  [{ models: { source: 'models' } }, /at '\/models\/source': 'models' does not match/],
  [{ models: { source: 's3://m', existingClaim: 'm' } }, /models\.source and models\.existingClaim exclude each other/],
  [{ models: { fromImage: false } }, /models: set source or existingClaim/],
  [{ models: { source: 's3://m', sync: { intervalSeconds: 0 } } }, /at '\/models\/sync\/intervalSeconds': minimum/],
  [{ models: { source: 's3://m', sync: { port: 3001 } } }, /models\.sync\.port must differ .* 3001 is taken/],
  [
    { predictionLog: { enabled: true }, settings: { predictionLog: '/log' } },
    /predictionLog\.enabled and settings\.predictionLog exclude each other/,
  ],
  [{ keys: { secret: 'Keys!' } }, /at '\/keys\/secret': 'Keys!' does not match/],
  [{ keys: { secret: 'keys' }, settings: { keys: '/k' } }, /keys\.secret and settings\.keys exclude each other/],
  [
    { tls: { secret: 'tls' }, settings: { tlsCert: '/c' } },
    /tls\.secret and settings\.tlsCert, settings\.tlsKey exclude/,
  ],
  [{ tls: { clientCa: { secret: 'ca' }, clientSecret: 'c' } }, /tls\.clientCa\.secret needs tls\.secret/],
  [{ tls: { secret: 'tls', clientCa: { secret: 'ca' } } }, /tls\.clientSecret is missing/],
  [
    { modelKeys: { configMap: 'keys' }, settings: { modelKeys: '/k' } },
    /modelKeys\.configMap and settings\.modelKeys exclude each other/,
  ],
  [
    { settings: { tlsCert: '/c', tlsKey: '/k' }, metrics: { serviceMonitor: { enabled: true } } },
    /metrics\.serviceMonitor\.tlsConfig is missing/,
  ],
  [{ autoscaling: { mode: 'both' } }, /at '\/autoscaling\/mode': value must be one of 'none', 'cpu', 'saturation'/],
  [{ autoscaling: { minReplicas: 20 } }, /autoscaling\.minReplicas is 20, above autoscaling\.maxReplicas, 10/],
  [{ autoscaling: { mode: 'saturation' } }, /autoscaling\.saturation\.prometheusUrl is missing/],
  [{ autoscaling: { saturation: { target: 1.5 } } }, /at '\/autoscaling\/saturation\/target': maximum/],
  [{ updateStrategy: { maxSurge: 0 } }, /updateStrategy\.maxSurge and updateStrategy\.maxUnavailable are both 0/],
  [{ podDisruptionBudget: { maxUnavailable: '120%' } }, /at '\/podDisruptionBudget\/maxUnavailable'/],
  [{ topologySpread: { zone: 'Maybe' } }, /at '\/topologySpread\/zone': value must be one of/],
  [{ probes: { liveness: { timeoutSeconds: 0 } } }, /at '\/probes\/liveness\/timeoutSeconds': minimum/],
  [{ podAnnotations: { number: 1 } }, /at '\/podAnnotations\/number': got number, want string/],
  [
    { metrics: { serviceMonitor: { interval: 'often' } } },
    /at '\/metrics\/serviceMonitor\/interval': 'often' does not match/,
  ],
]

t.test('values that make no sense are refused, and the message names the place', { skip }, async (t) => {
  for (const [values, message] of nonsense) {
    const { error } = await render(t, helm, values)
    t.match(error, message, JSON.stringify(values))
  }
})

t.test('the values of docs/kubernetes.md are accepted, and name the Secrets that it makes', { skip }, async (t) => {
  const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8')
  const [, block] = /```yaml\n([\s\S]*?)```/.exec(page)!
  const { objects, error } = await render(t, helm, parse(block!))
  t.equal(error, undefined)
  const kindsOf = objects.map(({ kind }) => kind)
  for (const kind of ['ScaledObject', 'ServiceMonitor', 'PrometheusRule', 'ConfigMap', 'NetworkPolicy', 'Pod'])
    t.ok(kindsOf.includes(kind), kind)
  const made = [...page.matchAll(/create secret generic (\S+)/g)].map(([, name]) => name)
  for (const secret of [...made, 'multigate-tls']) t.match(JSON.stringify(objects), `"secretName":"${secret}"`)
  const documented = [...page.matchAll(/`([a-zA-Z]+(?:\.[a-zA-Z]+)+)`/g)].map(([, path]) => path!)
  const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  for (const path of documented.filter((path) => path.split('.')[0]! in schema.properties))
    t.ok(
      path.split('.').reduce((at: any, name) => at?.properties?.[name], schema),
      `${path} is a value`,
    )
})

t.test('an older Kubernetes is refused', { skip }, async (t) => {
  t.match((await render(t, helm, {}, ['--kube-version=1.28.9'])).error, /requires kubeVersion: >=1\.29/)
})
