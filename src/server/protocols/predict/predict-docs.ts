import { component } from '../../plugins/openapi-components.ts'
import { problemResponses } from '../../plugins/openapi-errors.ts'
import { predictionErrors } from '../../request/route-docs.ts'

const answer = { model: 'ads-funnel', version: '1', request_id: '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d' }
const context = { country: 'DE', hour: 21, segment: 's17' }

const requestExamples = {
  rows: {
    summary: 'Named features, one object per candidate',
    value: {
      model: 'ads-funnel',
      context,
      candidates: [
        { id: 'ad-1', campaign: 'c9', price: 1.25, bid: 0.8 },
        { id: 'ad-2', campaign: 'c4', price: 0.4, bid: 1.1 },
      ],
    },
  },
  ranked: {
    summary: 'The best ten by expected revenue',
    value: {
      context,
      candidates: [
        { id: 'ad-1', campaign: 'c9', price: 1.25, bid: 0.8 },
        { id: 'ad-2', campaign: 'c4', price: 0.4, bid: 1.1 },
      ],
      options: { deadline_ms: 50, rank: { by: 'ecpm', top_k: 10 } },
    },
  },
  columns: {
    summary: 'Named features as columns',
    value: { context, candidates: { id: ['ad-1', 'ad-2'], campaign: ['c9', 'c4'], price: [1.25, 0.4] } },
  },
  keys: {
    summary: 'Keys, for a model whose features are in tables; the second candidate has a price of now',
    value: {
      model: 'ads-by-id',
      context: { user_id: 'u1', hour: 21 },
      candidates: ['ad-1', { ad_id: 'ad-2', price: 0.4 }],
    },
  },
}

const answerExamples = {
  rows: {
    summary: 'One object per candidate',
    value: {
      ...answer,
      predictions: [
        { id: 'ad-1', ctr: 0.010893386, cvr: 0.028198274, ctcvr: 0.00027039208 },
        { id: 'ad-2', ctr: 0.018361462, cvr: 0.1144963, ctcvr: 0.0019214285 },
      ],
    },
  },
  ranked: {
    summary: 'Best first',
    value: {
      ...answer,
      predictions: [
        { id: 'ad-2', ctr: 0.018361462, cvr: 0.1144963, ctcvr: 0.0019214285, score: 2.1135714, index: 1 },
        { id: 'ad-1', ctr: 0.010893386, cvr: 0.028198274, ctcvr: 0.00027039208, score: 0.21631367, index: 0 },
      ],
    },
  },
  columns: {
    summary: 'Columns',
    value: {
      ...answer,
      predictions: {
        id: ['ad-1', 'ad-2'],
        ctr: [0.010893386, 0.018361462],
        cvr: [0.028198274, 0.1144963],
        ctcvr: [0.00027039208, 0.0019214285],
      },
    },
  },
  keys: {
    summary: 'A candidate that is a key alone has it as its id',
    value: {
      ...answer,
      model: 'ads-by-id',
      predictions: [
        { id: 'ad-1', ctr: 0.010893386, cvr: 0.028198274, ctcvr: 0.00027039208 },
        { ctr: 0.018361462, cvr: 0.1144963, ctcvr: 0.0019214285 },
      ],
    },
  },
}

/** The description of `POST /predict` in `/docs`. */
export const predictSchema = {
  operationId: 'predict',
  tags: ['prediction'],
  summary: 'Predict the probability of every task for every candidate',
  description:
    'One user (the context) and N candidates, in one of three forms: named features as rows or columns, or tensors. ' +
    'Keys of candidates and of the user stand for features that a table has. ' +
    'Nothing is coerced: an invalid body is rejected with every problem and its place.',
  headers: {
    type: 'object',
    properties: {
      'x-request-id': {
        type: 'string',
        description: 'Echoed in the response, its header and the log; generated if absent',
      },
      'x-deadline-ms': {
        type: 'number',
        exclusiveMinimum: 0,
        maximum: 600_000,
        description: 'Deadline, ms, unless `options.deadline_ms` is given',
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
    content: {
      'application/json': { schema: { allOf: [component('PredictRequest')], 'x-examples': requestExamples } },
    },
  },
  response: {
    200: {
      description: 'Row i answers row i of the request, unless `rank` orders them',
      content: { 'application/json': { schema: component('PredictAnswer'), examples: answerExamples } },
    },
    ...problemResponses(...predictionErrors),
  },
}
