import { multigateVersion } from '../../../base/project.ts'
import type { InferAnswer, InferModel, InferOutput, InferRequest } from '../../../schemas/infer.ts'
import { component } from '../../plugins/openapi-components.ts'
import { inferErrorResponses } from '../../plugins/openapi-errors.ts'
import { idRows, json, numberRows, ofModel, ofVersion, predictionErrors } from '../../request/route-docs.ts'

export const tags = ['open inference protocol']

const ids = { name: 'sparse', shape: [2, 10], datatype: 'INT32' }
const numbers = { name: 'dense', shape: [2, 5], datatype: 'FP32' }

const requests: Record<string, { summary: string; value: InferRequest }> = {
  nested: {
    summary: 'Arrays of rows',
    value: {
      inputs: [
        { ...ids, data: idRows },
        { ...numbers, data: numberRows },
      ],
    },
  },
  flat: {
    summary: 'Flat arrays, row-major; one task only',
    value: {
      id: 'query-1',
      parameters: { timeout: 50_000 },
      inputs: [
        { ...ids, data: idRows.flat() },
        { ...numbers, data: numberRows.flat() },
      ],
      outputs: [{ name: 'ctr' }],
    },
  },
}

const ctr: InferOutput = { name: 'ctr', datatype: 'FP32', shape: [2, 1], data: [0.010895506, 0.018362945] }
const answers: Record<string, { summary: string; value: InferAnswer }> = {
  nested: {
    summary: 'Every task',
    value: {
      model_name: 'ads-funnel',
      model_version: '1',
      outputs: [
        ctr,
        { ...ctr, name: 'cvr', data: [0.028183195, 0.1144769] },
        { ...ctr, name: 'ctcvr', data: [0.0002702983, 0.0019212547] },
      ],
    },
  },
  flat: {
    summary: 'One task only',
    value: { model_name: 'ads-funnel', model_version: '1', id: 'query-1', outputs: [ctr] },
  },
}

const binaryRequest = JSON.stringify({
  inputs: [
    { ...ids, parameters: { binary_data_size: 80 } },
    { ...numbers, parameters: { binary_data_size: 40 } },
  ],
  outputs: [{ name: 'ctr', parameters: { binary_data: true } }],
} satisfies InferRequest)

const binaryAnswer = JSON.stringify({
  model_name: 'ads-funnel',
  model_version: '1',
  outputs: [{ name: 'ctr', datatype: 'FP32', shape: [2, 1], parameters: { binary_data_size: 8 } }],
} satisfies InferAnswer)

const bytes = (description: string, value: string) => ({
  schema: { type: 'string', description },
  examples: { binary: { summary: 'The JSON part; the bytes of the tensors follow it', value } },
})

const infer = {
  tags,
  description:
    'The protocol of KServe, Triton and MLServer. Tensors are in the JSON part, or follow it as bytes in the order of ' +
    '`inputs`; the header `Inference-Header-Content-Length` is then the length of the JSON part. `Content-Type` is not ' +
    'read: without that header every body is taken as JSON in UTF-8, with it as JSON and bytes. 415 is only for an ' +
    'unknown `Content-Encoding`.',
  headers: {
    type: 'object',
    properties: {
      'inference-header-content-length': {
        type: 'string',
        description: 'Bytes of the JSON part, before compression, if tensors follow it',
      },
      'x-request-id': {
        type: 'string',
        description: 'Echoed in the response header and the log; generated if absent',
      },
      'x-deadline-ms': {
        type: 'number',
        exclusiveMinimum: 0,
        maximum: 600_000,
        description: 'Deadline, ms, unless `parameters.timeout` is given',
      },
      'x-multigate-log': {
        type: 'string',
        description:
          '`always`: record the request in the prediction log whatever its sampling says; needs the scope `admin`',
      },
    },
  },
  // @fastify/swagger takes a body's examples from within its schema, and drops what stands beside a bare $ref.
  body: {
    content: {
      'application/json': { schema: { allOf: [component('InferRequest')], 'x-examples': requests } },
      'application/octet-stream': {
        schema: {
          type: 'string',
          description: 'The JSON part, followed by the bytes of the tensors',
          'x-examples': { binary: { summary: 'The JSON part; 120 bytes of tensors follow it', value: binaryRequest } },
        },
      },
    },
  },
  response: {
    200: {
      description: 'Row i of each output answers row i of the inputs',
      content: {
        'application/json': { schema: component('InferAnswer'), examples: answers },
        'application/octet-stream': bytes(
          'Where outputs were asked for as bytes; `Inference-Header-Content-Length` says how long the JSON part is',
          binaryAnswer,
        ),
      },
    },
    ...inferErrorResponses(...predictionErrors),
  },
}

/** Schemas of inference by the default version, and by a named one, for `/docs`. */
export const inferSchema = {
  ...infer,
  operationId: 'infer',
  summary: 'Infer with the default version of a model',
  params: ofModel,
}
export const inferVersionSchema = {
  ...infer,
  operationId: 'inferVersion',
  summary: 'Infer with one version of a model',
  params: ofVersion,
}

export const inferServerSchema = {
  operationId: 'inferServer',
  tags,
  summary: 'Name, version and protocol extensions of this server',
  description: 'Answered from the start, before any model is loaded.',
  response: {
    200: json('InferServer', 'The server', {
      name: 'multigate',
      version: multigateVersion,
      extensions: ['binary_tensor_data', 'model_configuration', 'statistics'],
    }),
    ...inferErrorResponses('INTERNAL'),
  },
}

export const inferLiveSchema = {
  operationId: 'inferLive',
  tags,
  summary: 'Is the process alive?',
  description: 'Says nothing of models: see `/v2/health/ready`.',
  response: {
    200: json('InferLive', 'The event loop answers', { live: true }),
    ...inferErrorResponses('INTERNAL'),
  },
}

export const inferReadySchema = {
  operationId: 'inferReady',
  tags,
  summary: 'Can requests be sent here?',
  description: 'The same conditions as `/readyz`, which reports all reasons as a list.',
  response: {
    200: json(
      'InferReady',
      'Every model found at the start has loaded or failed, and one answers, or every required model does',
      { ready: true },
    ),
    503: json('InferReady', 'Not ready, and why', { ready: false, error: 'ads-funnel: it is being loaded' }),
    ...inferErrorResponses('INTERNAL'),
  },
}

const modelExample: InferModel = {
  name: 'ads-funnel',
  versions: ['1'],
  platform: 'onnx_layers',
  inputs: [
    { name: 'sparse', datatype: 'INT32', shape: [-1, 10] },
    { name: 'dense', datatype: 'FP32', shape: [-1, 5] },
  ],
  outputs: ['ctr', 'cvr', 'ctcvr'].map((name) => ({ name, datatype: 'FP32', shape: [-1, 1] })),
  parameters: {
    datatypes: {
      sparse: ['BOOL', 'INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT16', 'UINT32', 'UINT64'],
      dense: ['BOOL', 'INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'FP32', 'FP64'],
    },
    features: [
      { name: 'country', datatype: 'BYTES', shape: [-1], side: 'context', required: false },
      { name: 'hour', datatype: 'INT64', shape: [-1], side: 'context', required: false },
      { name: 'campaign', datatype: 'BYTES', shape: [-1], side: 'candidate', required: true },
      { name: 'price', datatype: 'FP64', shape: [-1], side: 'candidate', required: true },
    ],
  },
}
const model = {
  tags,
  description:
    'Requests send either the tensors of `inputs`, or the features of `parameters.features`, which the server encodes.',
  response: {
    200: json('InferModel', 'Its tensors, and the features that requests may name instead', modelExample),
    ...inferErrorResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY', 'DRAINING'),
  },
}
const modelReady = {
  tags,
  description: 'Readiness of the one model, whatever `/v2/health/ready` says: 200, or an error with the reason.',
  response: {
    200: json('InferReady', 'It answers requests', { name: 'ads-funnel', ready: true }),
    ...inferErrorResponses('MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'INTERNAL', 'NOT_READY', 'DRAINING'),
  },
}

export const inferModelSchema = {
  ...model,
  operationId: 'inferModel',
  summary: 'Tensors that a model takes and answers',
  params: ofModel,
}
export const inferModelVersionSchema = {
  ...model,
  operationId: 'inferModelVersion',
  summary: 'Tensors that one version of a model takes and answers',
  params: ofVersion,
}
export const inferModelReadySchema = {
  ...modelReady,
  operationId: 'inferModelReady',
  summary: 'Does a model answer requests?',
  params: ofModel,
}
export const inferModelVersionReadySchema = {
  ...modelReady,
  operationId: 'inferModelVersionReady',
  summary: 'Does one version of a model answer requests?',
  params: ofVersion,
}
