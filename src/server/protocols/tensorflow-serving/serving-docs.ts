import type {
  ServingAnswer,
  ServingMetadata,
  ServingModels,
  ServingRequest,
  ServingSignatureDef,
  ServingStatus,
} from '../../../schemas/serving.ts'
import { component } from '../../plugins/openapi-components.ts'
import { servingErrorResponses } from '../../plugins/openapi-errors.ts'
import { idRows, json, numberRows, ofLabel, ofModel, ofVersion, predictionErrors } from '../../request/route-docs.ts'

const tags = ['tensorflow serving']

const context = { country: 'DE', hour: 21, segment: 's17' }

const requests: Record<string, { summary: string; value: ServingRequest }> = {
  rows: {
    summary: 'Named features as rows',
    value: {
      instances: [
        { ...context, campaign: 'c9', price: 1.25 },
        { ...context, campaign: 'c4', price: 0.4 },
      ],
    },
  },
  columns: {
    summary: "Named features as columns, the user's once",
    value: { context, inputs: { campaign: ['c9', 'c4'], price: [1.25, 0.4] } },
  },
  tensors: {
    summary: 'Tensors as rows',
    value: {
      signature_name: 'serving_default',
      instances: idRows.map((sparse, row) => ({ sparse, dense: numberRows[row]! })),
    },
  },
  tensorColumns: { summary: 'Tensors as columns', value: { inputs: { sparse: idRows, dense: numberRows } } },
}

const answers: Record<string, { summary: string; value: ServingAnswer }> = {
  rows: {
    summary: 'One object per row',
    value: {
      predictions: [
        { ctr: 0.010893386, cvr: 0.028198274, ctcvr: 0.00027039208 },
        { ctr: 0.018361462, cvr: 0.1144963, ctcvr: 0.0019214285 },
      ],
    },
  },
  columns: {
    summary: 'One array per task',
    value: {
      outputs: {
        ctr: [0.010893386, 0.018361462],
        cvr: [0.028198274, 0.1144963],
        ctcvr: [0.00027039208, 0.0019214285],
      },
    },
  },
  tensors: {
    summary: 'Response to tensors as rows',
    value: {
      predictions: [
        { ctr: 0.010895506, cvr: 0.028183195, ctcvr: 0.0002702983 },
        { ctr: 0.018362945, cvr: 0.1144769, ctcvr: 0.0019212547 },
      ],
    },
  },
  tensorColumns: {
    summary: 'Response to tensors as columns',
    value: {
      outputs: {
        ctr: [0.010895506, 0.018362945],
        cvr: [0.028183195, 0.1144769],
        ctcvr: [0.0002702983, 0.0019212547],
      },
    },
  },
}

const predict = {
  tags,
  description:
    'Row format (`instances`) or columnar format (`inputs`), with named features or the tensors of the graph, whichever ' +
    'the names belong to. `Content-Type` is not read: every body is taken as JSON in UTF-8, and 415 is only for an ' +
    'unknown `Content-Encoding`. `:classify` and `:regress` are rejected: no model has such a signature.',
  headers: {
    type: 'object',
    properties: {
      'x-request-id': {
        type: 'string',
        description: 'Echoed in the response header and the log; generated if absent',
      },
      'x-deadline-ms': {
        type: 'number',
        exclusiveMinimum: 0,
        maximum: 600_000,
        description: 'Deadline, ms',
      },
      'x-multigate-log': {
        type: 'string',
        description:
          '`always`: record the request in the prediction log whatever its sampling says; needs the scope `admin`',
      },
    },
  },
  // @fastify/swagger takes a body's examples from within its schema, and drops keys beside a bare $ref.
  body: {
    content: { 'application/json': { schema: { allOf: [component('ServingRequest')], 'x-examples': requests } } },
  },
  response: {
    200: {
      description: 'Row i answers row i of the request',
      content: { 'application/json': { schema: component('ServingAnswer'), examples: answers } },
    },
    ...servingErrorResponses(...predictionErrors),
  },
}

/** Prediction by the default version, a named version and a labelled version, in `/docs`. */
export const servingSchema = {
  ...predict,
  operationId: 'servingPredict',
  summary: 'Predict with the default version of a model',
  params: ofModel,
}
export const servingVersionSchema = {
  ...predict,
  operationId: 'servingPredictVersion',
  summary: 'Predict with one version of a model',
  params: ofVersion,
}
export const servingLabelSchema = {
  ...predict,
  operationId: 'servingPredictLabel',
  summary: 'Predict with the labelled version of a model',
  params: ofLabel,
}

export const servingModelsSchema = {
  operationId: 'servingModels',
  tags,
  summary: 'List the names of all models',
  description: 'An extension, version 1 of KServe’s protocol: TensorFlow Serving has no such list.',
  response: {
    200: json('ServingModels', 'Every model in the folder', {
      models: ['ads-funnel', 'census-income'],
    } satisfies ServingModels),
    ...servingErrorResponses('INTERNAL'),
  },
}

const status = {
  tags,
  description:
    'States are those of TensorFlow Serving: LOADING, AVAILABLE, UNLOADING, or END with the reason for a version that ' +
    'failed to load.',
  response: {
    200: json('ServingStatus', 'States, the highest version first', {
      name: 'ads-funnel',
      ready: true,
      model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
    } satisfies ServingStatus),
    ...servingErrorResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY'),
  },
}

/** Schemas for a model, for one version, and for the labelled one. */
export const servingStatusSchemas = [
  { ...status, operationId: 'servingStatus', summary: 'States of the versions of a model', params: ofModel },
  { ...status, operationId: 'servingVersionStatus', summary: 'State of one version of a model', params: ofVersion },
  { ...status, operationId: 'servingLabelStatus', summary: 'State of the version that has a label', params: ofLabel },
]

type TensorInfo = ServingSignatureDef['inputs'][string]
const tensor = (name: string, dtype: TensorInfo['dtype'], ...sizes: string[]): Record<string, TensorInfo> => ({
  [name]: { dtype, tensor_shape: { dim: sizes.map((size) => ({ size, name: '' })), unknown_rank: false }, name },
})
const outputs = {
  ...tensor('ctr', 'DT_FLOAT', '-1'),
  ...tensor('cvr', 'DT_FLOAT', '-1'),
  ...tensor('ctcvr', 'DT_FLOAT', '-1'),
}
const method_name = 'tensorflow/serving/predict' as const

const metadata = {
  tags,
  description:
    '`serving_default` has the tensors of the graph, `features` the named features of the manifest, if there is one.',
  response: {
    200: json('ServingMetadata', 'Its signatures', {
      model_spec: { name: 'ads-funnel', signature_name: '', version: '1' },
      metadata: {
        signature_def: {
          signature_def: {
            serving_default: {
              inputs: { ...tensor('sparse', 'DT_INT32', '-1', '10'), ...tensor('dense', 'DT_FLOAT', '-1', '5') },
              outputs,
              method_name,
            },
            features: {
              inputs: { ...tensor('country', 'DT_STRING', '-1'), ...tensor('price', 'DT_FLOAT', '-1') },
              outputs,
              method_name,
            },
          },
        },
      },
    } satisfies ServingMetadata),
    ...servingErrorResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY', 'DRAINING'),
  },
}

/** Schemas for a model, for one version, and for the labelled one. */
export const servingMetadataSchemas = [
  { ...metadata, operationId: 'servingMetadata', summary: 'Signatures of a model', params: ofModel },
  {
    ...metadata,
    operationId: 'servingVersionMetadata',
    summary: 'Signatures of one version of a model',
    params: ofVersion,
  },
  {
    ...metadata,
    operationId: 'servingLabelMetadata',
    summary: 'Signatures of the version that has a label',
    params: ofLabel,
  },
]
