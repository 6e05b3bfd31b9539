import type { TSchema } from 'typebox'
import * as entityDetails from '../../schemas/entity-details.ts'
import * as evaluation from '../../schemas/evaluation.ts'
import * as featureValue from '../../schemas/feature-value.ts'
import * as infer from '../../schemas/infer.ts'
import * as inferModel from '../../schemas/infer-model.ts'
import * as liveFigures from '../../schemas/live-figures.ts'
import * as modelVersions from '../../schemas/model-versions.ts'
import * as models from '../../schemas/models.ts'
import * as predict from '../../schemas/predict.ts'
import * as predictionLogStatus from '../../schemas/prediction-log-status.ts'
import * as problem from '../../schemas/problem.ts'
import * as requests from '../../schemas/requests.ts'
import * as serving from '../../schemas/serving.ts'
import { referenceTo } from './openapi-schemas.ts'

const schemas = {
  ...entityDetails,
  ...evaluation,
  ...featureValue,
  ...infer,
  ...inferModel,
  ...liveFigures,
  ...modelVersions,
  ...models,
  ...predict,
  ...predictionLogStatus,
  ...problem,
  ...requests,
  ...serving,
}

/** The names of the document's schemas, in its order. */
const names = [
  'PredictRequest',
  'RowsRequest',
  'ColumnsRequest',
  'TensorsRequest',
  'DenseRequest',
  'InputsRequest',
  'Context',
  'FeatureValue',
  'FeatureLists',
  'Candidate',
  'CandidateColumns',
  'PredictOptions',
  'RankOptions',
  'PredictAnswer',
  'Prediction',
  'PredictionColumns',
  'ProblemDetails',
  'ProblemItem',
  'ModelList',
  'ModelStatus',
  'VersionStatus',
  'ModelDetails',
  'CrossedDetails',
  'FieldDetails',
  'FieldValues',
  'VersionDistributions',
  'FieldDistribution',
  'TaskDistribution',
  'DistributionBin',
  'VersionRows',
  'EvaluationReport',
  'TableList',
  'ServedTable',
  'PinRequest',
  'Probe',
  'LiveHistory',
  'LiveUpdate',
  'LiveSample',
  'LiveStages',
  'LiveModel',
  'LiveClient',
  'LiveProcess',
  'LiveEvent',
  'RecordedRequests',
  'RequestRecord',
  'PredictionLogStatus',
  'PredictionLogDetails',
  'LogFile',
  'InferRequest',
  'InferInput',
  'InferRequestedOutput',
  'InferAnswer',
  'InferOutput',
  'InferServer',
  'InferModel',
  'InferTensor',
  'InferLive',
  'InferReady',
  'InferConfig',
  'InferStatisticsList',
  'InferIndexRequest',
  'InferIndex',
  'InferRepositoryRequest',
  'InferRepositoryAnswer',
  'InferError',
  'ServingRequest',
  'ServingInstances',
  'ServingInstance',
  'ServingInputs',
  'ServingContext',
  'ServingAnswer',
  'ServingPredictions',
  'ServingPrediction',
  'ServingOutputs',
  'ServingColumns',
  'ServingModels',
  'ServingStatus',
  'ServingVersionStatus',
  'ServingMetadata',
  'ServingSignatureDef',
] as const satisfies (keyof typeof schemas)[]

/** The schemas of the document, by name. */
export const components: Record<string, TSchema> = Object.fromEntries(names.map((name) => [name, schemas[name]]))

/** A reference to one of the document's components. */
export function component(name: keyof typeof components): { $ref: string } {
  return referenceTo(name)
}
