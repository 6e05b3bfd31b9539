import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ModelError } from '../../base/errors.ts'
import { listNames, shortName } from '../../base/names.ts'
import { evaluationFile } from '../../model/serving/bundle/evaluation.ts'
import {
  type BinDescription,
  describeFieldBins,
  describeLengthBins,
  describeTaskBins,
  psiOf,
} from '../../model/serving/drift/bins.ts'
import type { Observed } from '../../model/serving/drift/monitor.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type {
  FieldDistribution,
  LengthDistribution,
  TaskDistribution,
  VersionDistributions,
  VersionRows,
} from '../../schemas/model-versions.ts'
import type { ModelDetails, ModelStatus } from '../../schemas/models.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { KeptAnswer } from '../overload/kept-answer.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { type Observations, observedKey } from '../request/observations.ts'
import { modelsOf, ownObservations } from '../request/own-models.ts'
import { json, ofVersion } from '../request/route-docs.ts'
import { describeVersion } from './describe-model.ts'
import { rowsOf } from './example.ts'
import { statusOf } from './models.ts'
import {
  evaluationExample,
  modelDetailsExample,
  versionDistributionsExample,
  versionRowsExample,
} from './models-docs.ts'

/** Smallest response that is compressed, bytes. */
const worthwhile = 4096

type VersionRequest = FastifyRequest<{ Params: { model: string; version: string } }>

/** `GET /models/{model}/versions/{version}` and below it: any version that is loaded. */
export async function modelVersionRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { registry } = context
  const errors = problemResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY')

  /** Throws as `statusOf`, or VERSION_NOT_FOUND with the reason. */
  function find(request: VersionRequest): { status: ModelStatus; model: LoadedModel } {
    const { model: name, version } = request.params
    const models = modelsOf(request, registry)
    const status = statusOf(models, name)
    const live = models.live().find((entry) => entry.name === name && entry.version === version)
    if (live === undefined) throw new ModelError('VERSION_NOT_FOUND', whyNotLoaded(status, version))
    return { status, model: live.model }
  }

  app.route<{ Params: { model: string; version: string } }>({
    method: 'GET',
    url: '/models/:model/versions/:version',
    schema: {
      operationId: 'getVersion',
      tags: ['models'],
      summary: 'Describe a version that is loaded: fields, tasks, architecture, quality, plan',
      description: 'The same as for a model, whether the version is the default or not.',
      params: ofVersion,
      response: { 200: json('ModelDetails', 'The model and this version', modelDetailsExample), ...errors },
    },
    handler: async (request): Promise<ModelDetails> => {
      const { status, model } = find(request)
      const { name, version } = model.manifest
      const path = `${app.prefix}/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`
      return describeVersion(context, status, model, path)
    },
  })

  app.route<{ Params: { model: string; version: string } }>({
    method: 'GET',
    url: '/models/:model/versions/:version/distributions',
    // Hundreds of fields have dozens of bins each.
    compress: { encodings: ['gzip', 'deflate', 'identity'], threshold: worthwhile, zlibOptions: { level: 1 } },
    schema: {
      operationId: 'getDistributions',
      tags: ['models'],
      summary: 'Compare recent values of fields and tasks with those that a version was judged on',
      description: 'Counted by all processes, from one row per request.',
      params: ofVersion,
      response: {
        200: json('VersionDistributions', 'Shares by bin, then and now', versionDistributionsExample),
        ...errors,
      },
    },
    handler: async (request): Promise<VersionDistributions> => {
      const { model } = find(request)
      const { name, version } = model.manifest
      const key = { model: name, version }
      const observations = (await context.peers?.observations(key)) ?? ownObservations(context, key)
      return describeDistributions(model, observations ?? { counted: [], unknown: new Map() })
    },
  })

  app.route<{ Params: { model: string; version: string } }>({
    method: 'GET',
    url: '/models/:model/versions/:version/evaluation',
    schema: {
      operationId: 'getEvaluation',
      tags: ['models'],
      summary: 'Get the report of the evaluation that a version was published with',
      description: '404 if the version was published without one.',
      params: ofVersion,
      response: {
        200: json('EvaluationReport', 'What multigate evaluate found', evaluationExample),
        ...problemResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'NOT_FOUND', 'INTERNAL', 'NOT_READY'),
      },
    },
    handler: (request, reply) => answerEvaluation(find(request).model, reply),
  })

  app.route<{ Params: { model: string; version: string } }>({
    method: 'GET',
    url: '/models/:model/versions/:version/rows',
    schema: {
      operationId: 'getRows',
      tags: ['models'],
      summary: 'List example rows of a version: its golden rows, 50 at most',
      description: 'For trying the model out: without fields that the manifest marks as `log`.',
      params: ofVersion,
      response: { 200: json('VersionRows', 'Rows by side', versionRowsExample), ...errors },
    },
    handler: async (request): Promise<VersionRows> => {
      const { manifest } = find(request).model
      return { model: manifest.name, version: manifest.version, rows: rowsOf(manifest) }
    },
  })
}

/** Written reports, kept as long as their versions; undefined: it has none. */
const reports = new WeakMap<LoadedModel, Promise<KeptAnswer | undefined>>()

function reportOf(model: LoadedModel): Promise<KeptAnswer | undefined> {
  const known = reports.get(model)
  if (known !== undefined) return known
  const answer = model
    .evaluation()
    .then((report) => report && new KeptAnswer(Buffer.from(JSON.stringify(report)), 'application/json; charset=utf-8'))
  reports.set(model, answer)
  // It may be readable the next time, when there are more file descriptors.
  answer.catch(() => reports.delete(model))
  return answer
}

async function answerEvaluation(model: LoadedModel, reply: FastifyReply): Promise<FastifyReply> {
  const { name, version } = model.manifest
  const answer = await reportOf(model).catch((error: unknown) => {
    if (error instanceof ModelError && error.code === 'INVALID_BUNDLE') return error.message
    throw error
  })
  if (typeof answer === 'object') return answer.send(reply.request, reply)
  const detail = answer ?? `Version ${version} of ${name} has no ${evaluationFile}: it was published without a report`
  const body = problemDetails('NOT_FOUND', detail, reply.request.id)
  return sendProblem(reply, { body })
}

/** Failures with their reason, which `GET /models` has, too. */
function whyNotLoaded({ name, versions }: ModelStatus, version: string): string {
  const found = versions.find((candidate) => candidate.version === version)
  if (found === undefined) {
    const known = versions.length === 0 ? 'it has none' : `it has ${listNames(versions.map((one) => one.version))}`
    return `${name} has no version ${shortName(version)}; ${known}`
  }
  if (found.error !== undefined) return `Version ${version} of ${name} failed to load: ${found.error}`
  if (found.state === 'not_loaded') return `Version ${version} of ${name} is in the folder, but not loaded`
  return `Version ${version} of ${name} is ${found.state}`
}

/** Distributions of a version, then and now. `observations`: of all processes. */
export function describeDistributions(
  { manifest, encoder, observed }: Pick<LoadedModel, 'manifest' | 'encoder' | 'observed'>,
  { counted, unknown }: Observations,
): VersionDistributions {
  const { name: model, version } = manifest
  const { slots, sparse } = encoder.layout
  const sums = new Map(counted.map((one) => [observedKey(one), one]))
  const all = observed().map((own): Observed => {
    const sum = sums.get(observedKey(own)) ?? own
    return { ...own, ...sum, psi: psiOf(own.reference.shares, sum) }
  })
  const byName = (wanted: Observed['kind']) =>
    new Map(all.filter(({ kind }) => kind === wanted).map((one) => [one.name, one]))
  const byField = byName('feature')
  const lengthsOf = byName('length')
  const fields = slots.map(({ name, sparse: isSparse, column, encoder: fieldEncoder }): FieldDistribution => {
    const found = byField.get(name)
    const lengths = lengthsOf.get(name)
    const isMarked = manifest.features.find((field) => field.name === name)?.log !== undefined
    const offset = (isSparse ? sparse[column]?.offset : undefined) ?? 0
    return {
      ...(found === undefined
        ? unreferenced(name)
        : compare(found, describeFieldBins(found.reference, fieldEncoder, offset), isMarked)),
      unknown: unknown.get(name) ?? 0,
      ...(lengths && { lengths: withoutName(compare(lengths, describeLengthBins(lengths.reference), isMarked)) }),
    }
  })
  const tasks = all.filter(({ kind }) => kind === 'task').map((one) => compare(one, describeTaskBins(one.reference)))
  return { model, version, fields, tasks }
}

const withoutName = ({ name: _, ...distribution }: TaskDistribution): LengthDistribution => distribution

const unreferenced = (name: string): TaskDistribution => ({
  name,
  reference: false,
  psi: null,
  observations: 0,
  bins: [],
})

/** Fewer values are those of single requests, which are nobody else's business; as many as drift needs. */
const leastShown = 500

/** Shares to a millionth. */
const rounded = (share: number) => Number(share.toFixed(6))

/** `isMarked`: live values of the field are kept from logs, and from here. */
function compare(
  { name, psi, reference, total, counts }: Observed,
  bins: BinDescription[],
  isMarked = false,
): TaskDistribution {
  const isShown = !isMarked && total >= leastShown
  return {
    name,
    reference: true,
    psi: psi ?? null,
    observations: isMarked ? 0 : total,
    bins: bins.map((bin, i) => ({
      ...bin,
      then: rounded(reference.shares[i]!),
      now: isShown ? rounded(counts[i]! / total) : 0,
    })),
  }
}
