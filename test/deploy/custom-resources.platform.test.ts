import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { temporaryFolder } from '../support/bundle.ts'
import { valueSets } from '../support/chart-values.ts'
import { findHelm, render } from '../support/helm.ts'
import { pythonWith } from '../support/python.ts'

/*
 * Custom resources of the chart, the examples and KServe, against the definitions of the projects that read them.
 */

const root = join(import.meta.dirname, '../../..')
const { helm, skip } = await findHelm()
const python = await pythonWith(['kubernetes-validate==1.37.0'])
const definitions = await promisify(execFile)(process.execPath, [join(root, 'scripts/custom-resources.mjs')]).then(
  ({ stdout }) => stdout.trim().split('\n'),
  ({ stderr }) => String(stderr).trim(),
)
const why = skip || (typeof python === 'string' ? python : typeof definitions === 'string' ? definitions : false)

const withoutPromtool = spawnSync('promtool', ['--version']).status !== 0 && 'promtool is not installed'

const inFile = (file: string) =>
  parseAllDocuments(readFileSync(join(root, 'deploy', file), 'utf8')).map((document) => document.toJS())

t.test('every custom resource has the fields that its definition knows', { skip: why }, async (t) => {
  if (typeof python === 'string') return
  const validate = async (objects: object[]) => {
    const file = join(await temporaryFolder(t), 'objects.json')
    await writeFile(file, JSON.stringify({ definitions, objects }))
    return JSON.parse(await python.run('kubernetes/validate_custom.py', [file])) as string[][]
  }
  const rendered = await Promise.all(Object.values(valueSets).map((values) => render(t, helm, values)))
  const objects = [
    ...rendered.flatMap(({ objects }) => objects).filter(({ apiVersion }) => /coreos|keda/.test(apiVersion)),
    ...inFile('examples/rollout.yaml'),
    ...inFile('kserve/serving-runtime.yaml'),
    ...inFile('kserve/inference-service.yaml'),
  ]
  t.same([...new Set(objects.map(({ kind }) => kind))].sort(), [
    'AnalysisTemplate',
    'InferenceService',
    'PrometheusRule',
    'Rollout',
    'ScaledObject',
    'ServiceMonitor',
    'ServingRuntime',
  ])

  const kinds = new Map(objects.map((object) => [object.kind, object]))
  const surplus = [...kinds.values()].map((object) => ({ ...object, spec: { ...object.spec, surplus: true } }))
  const deep = structuredClone(kinds.get('ServiceMonitor'))
  deep.spec.endpoints[0].surplus = {}
  const mistyped = structuredClone(kinds.get('ScaledObject'))
  mistyped.spec.maxReplicaCount = 'ten'

  const problems = await validate([...objects, ...surplus, deep, mistyped])
  t.same(problems.splice(0, objects.length).flat(), [])
  for (const { kind } of surplus) t.match(problems.shift(), [/'surplus' was unexpected/], kind)
  t.match(problems, [
    [/^ServiceMonitor \/spec\/endpoints\/0: .*'surplus' was unexpected/],
    [/^ScaledObject \/spec\/maxReplicaCount: 'ten' is not of type 'integer'/],
  ])
})

t.test('the example of Argo Rollouts fits the chart that it is installed with', { skip }, async (t) => {
  const [values] = inFile('examples/rollout-values.yaml')
  const { objects, error } = await render(t, helm, values)
  t.equal(error, undefined)
  const [rollout, template] = inFile('examples/rollout.yaml')
  const deployment = objects.find(({ kind }) => kind === 'Deployment')
  t.equal(rollout.spec.workloadRef.name, deployment.metadata.name)
  t.equal(deployment.spec.replicas, 0)
  t.match(values.autoscaling.targetRef, { kind: rollout.kind, name: rollout.metadata.name })
  const [label] = objects.find(({ kind }) => kind === 'ServiceMonitor').spec.podTargetLabels
  const analyses = rollout.spec.strategy.canary.steps.flatMap(({ analysis }: any) => analysis ?? [])
  for (const { templates, args } of analyses) {
    t.same(templates, [{ templateName: template.metadata.name }])
    t.match(args, [
      { name: 'canary', valueFrom: { podTemplateHashValue: 'Latest' } },
      { name: 'stable', valueFrom: { podTemplateHashValue: 'Stable' } },
    ])
  }
  for (const { provider } of template.spec.metrics)
    t.match(provider.prometheus.query, `${label.replaceAll('-', '_')}="{{args.canary}}"`)
})

t.test('the queries of the autoscaler and the analysis are PromQL', { skip: skip || withoutPromtool }, async (t) => {
  const { objects } = await render(t, helm, valueSets.saturation!)
  const [trigger] = objects.find(({ kind }) => kind === 'ScaledObject').spec.triggers
  const analysis = inFile('examples/rollout.yaml')[1].spec.metrics.map(({ provider }: any) => provider.prometheus.query)
  const queries = [trigger.metadata.query, ...analysis].map((query) => query.replaceAll(/\{\{args\.\w+\}\}/g, 'abc'))
  t.equal(queries.length, 4)
  const check = async (expressions: string[]) => {
    const file = join(await temporaryFolder(t), 'rules.yaml')
    const rules = expressions.map((expr, i) => ({ record: `query:${i}`, expr }))
    await writeFile(file, JSON.stringify({ groups: [{ name: 'queries', rules }] }))
    return spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
  }
  t.match(await check(queries), { status: 0, stdout: /4 rules found/ })
  t.not((await check([`${queries[0]})`])).status, 0)
})
