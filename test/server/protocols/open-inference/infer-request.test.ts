import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { readBody } from '../../../../src/server/protocols/open-inference/infer-request.ts'
import { type ModelInput, readInputs } from '../../../../src/server/protocols/open-inference/infer-tensors.ts'
import { inferBody } from '../../../support/infer-body.ts'

const inputs: ModelInput[] = [
  { role: 'sparse', name: 'ids', dims: [3], width: 3 },
  { role: 'dense', name: 'numbers', dims: [2], width: 2 },
]
const ids = { name: 'ids', shape: [2, 3], datatype: 'INT32' }
const numbers = { name: 'numbers', shape: [2, 2], datatype: 'FP32' }
const sixIds = Int32Array.of(1, 2, 3, 4, 5, 6)
const fourNumbers = Float32Array.of(0.5, 1, 1.5, 2)
const binary = (size: number) => ({ parameters: { binary_data_size: size } })
const whole = {
  inputs: [
    { ...ids, ...binary(24) },
    { ...numbers, ...binary(16) },
  ],
}

function read(json: unknown, ...tensors: ArrayBufferView[]) {
  const { payload, headers } = inferBody(json, ...tensors)
  return readInputs(readBody(payload, headers['inference-header-content-length']), inputs)
}

/** The message on a body that is refused. */
function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ModelError && error.code === 'INVALID_REQUEST') return error.message
    throw error
  }
  return 'it is taken'
}

t.test('bytes become tensors, whatever their offset', async (t) => {
  for (let shift = 0; shift < 8; shift++) {
    const { ids: sparse, numbers: dense } = read({ id: 'x'.repeat(shift), ...whole }, sixIds, fourNumbers)
    t.same(sparse, { rows: 2, width: 3, values: sixIds })
    t.same(dense, { rows: 2, width: 2, values: fourNumbers })
    t.equal(sparse?.values.buffer.byteLength, 24, 'a buffer of its own')
  }
})

t.test('bytes follow in the order of the inputs, and JSON may stand among them', async (t) => {
  const [first, second] = whole.inputs
  const turned = read({ inputs: [second, first] }, fourNumbers, sixIds)
  t.same(turned.ids?.values, sixIds)
  t.same(turned.numbers?.values, fourNumbers)
  const mixed = read({ inputs: [{ ...numbers, data: [0.5, 1, 1.5, 2] }, first] }, sixIds)
  t.same(mixed.ids?.values, sixIds)
  t.same([...(mixed.numbers?.values ?? [])], [...fourNumbers])
})

t.test('data is flat or nested', async (t) => {
  const rows = [
    [1, 2, 3],
    [4, 5, 6],
  ]
  for (const data of [rows, rows.flat()]) {
    const { ids: sparse, numbers: dense } = read({ inputs: [{ ...ids, data }] })
    t.same([...(sparse?.values ?? [])], [...sixIds])
    t.equal(dense, undefined)
  }
})

t.test('null is as good as absent, and what is not known is passed over', async (t) => {
  const { ids: sparse } = read({
    id: null,
    model_name: 'ads',
    parameters: null,
    outputs: null,
    inputs: [{ ...ids, parameters: { content_type: 'np', binary_data_size: null }, data: [...sixIds] }],
  })
  t.equal(sparse?.rows, 2)
  t.ok(read({ inputs: [{ ...ids, parameters: null, data: [...sixIds] }] }).ids)
  const nothing = { sequence_id: 0, sequence_start: false, sequence_end: null, priority: 3, toString: 1 }
  const outputs = [{ name: 'ctr', parameters: { classification: null, shared_memory_region: '' } }]
  t.ok(read({ parameters: nothing, outputs, inputs: [{ ...ids, data: [...sixIds] }] }).ids)
})

t.test('the length of the JSON part is a number, at most that of the body', async (t) => {
  const { payload } = inferBody({ inputs: [{ ...ids, data: [...sixIds] }] })
  t.equal(readBody(payload, String(payload.length)).binary.length, 0)
  for (const header of [
    '',
    '-1',
    '1.5',
    '1e2',
    '0x10',
    'NaN',
    '9'.repeat(400),
    '12, 12',
    ' 3',
    String(payload.length + 1),
  ]) {
    t.match(
      refusal(() => readBody(payload, header)),
      /The header Inference-Header-Content-Length must be/,
      header,
    )
  }
  for (const header of ['0', '5', String(payload.length - 1)])
    t.match(
      refusal(() => readBody(payload, header)),
      /The body must be JSON/,
      header,
    )
})

t.test('a body whose length is not told is JSON', async (t) => {
  const { payload } = inferBody(whole, sixIds, Float32Array.of(1, 2, 3, 4))
  t.match(
    refusal(() => readBody(payload, undefined)),
    /The body must be (JSON|UTF-8)/,
  )
  t.match(
    refusal(() => readBody(Buffer.alloc(0), undefined)),
    /empty/,
  )
  t.match(
    refusal(() => readBody(Buffer.from('{"inputs": [], "__proto__": {}}'), undefined)),
    /prototype/,
  )
  t.match(
    refusal(() => readBody(Buffer.from([0x7b, 0xff, 0x7d]), undefined)),
    /UTF-8/,
  )
})

for (const [json, message] of [
  [7, /must be an object/],
  [[], /must be an object/],
  [null, /must be an object/],
  [{}, /inputs/],
  [{ inputs: {} }, /\/inputs must be an array/],
  [{ inputs: [] }, /\/inputs must have at least 1 item/],
  [{ inputs: [null] }, /\/inputs\/0 must be an object/],
  [{ inputs: [{ shape: [1, 3], datatype: 'INT32' }] }, /\/inputs\/0\/name is required/],
  [{ inputs: [{ name: 'ids', datatype: 'INT32' }] }, /input "ids"\/shape is required/],
  [{ inputs: [{ ...ids, shape: 'x' }] }, /input "ids"\/shape must be an array/],
  [{ inputs: [{ ...ids, shape: [-2, 3] }] }, /input "ids"\/shape\/0 must be at least 0/],
  [{ inputs: [{ ...ids, shape: [1.5, 3] }] }, /input "ids"\/shape\/0 must be an integer/],
  [{ inputs: [{ ...ids, ...binary(-24) }] }, /input "ids"\/parameters\/binary_data_size must be at least 0$/],
  [{ inputs: [{ ...ids, ...binary(1.5) }] }, /input "ids"\/parameters\/binary_data_size must be an integer$/],
  [{ inputs: [{ ...ids, parameters: [] }] }, /input "ids"\/parameters must be an object$/],
  [{ inputs: [ids], id: 5 }, /\/id must be a string$/],
  [{ inputs: [ids], parameters: { timeout: -1 } }, /\/parameters\/timeout must be at least 0$/],
  [{ inputs: [ids], parameters: { timeout: 1e12 } }, /\/parameters\/timeout must be at most 600000000$/],
  [{ inputs: [ids], parameters: { binary_data_output: 1 } }, /\/parameters\/binary_data_output must be true or false$/],
  [{ inputs: [ids], outputs: ['ctr'] }, /\/outputs\/0 must be an object$/],
  [
    { inputs: [ids], outputs: [{ name: 'ctr', parameters: { binary_data: 1 } }] },
    /output "ctr"\/parameters\/binary_data must be true or false$/,
  ],
  [
    { inputs: [ids], outputs: [{ name: 'ctr', parameters: { shared_memory_region: 'r' } }] },
    /output "ctr" can't be had by shared_memory_region$/,
  ],
  [
    { inputs: [ids], outputs: [{ name: 'ctr', parameters: { classification: 2 } }] },
    /output "ctr" can't be had by classification$/,
  ],
  [{ inputs: [{ ...ids, parameters: { shared_memory_region: 'r' } }] }, /input "ids" can't be sent by shared memory$/],
  [{ inputs: [ids], parameters: { sequence_id: 7 } }, /\/parameters\/sequence_id is not possible: each request stands/],
  [{ inputs: [ids], parameters: { sequence_id: 's' } }, /\/parameters\/sequence_id is not possible/],
  [{ inputs: [ids], parameters: { sequence_id: 0, sequence_end: true } }, /\/parameters\/sequence_end is not possible/],
  [{ inputs: [ids, ids] }, /input "ids" is given twice/],
  [{ inputs: [ids], outputs: [{ name: 'a' }, { name: 'a' }] }, /output "a" is given twice/],
] as const) {
  t.test(`${JSON.stringify(json)} is no request`, async (t) => {
    t.match(
      refusal(() => readBody(Buffer.from(JSON.stringify(json)), undefined)),
      message,
    )
  })
}

for (const [input, message] of [
  [{ ...ids, name: 'x', data: [] }, /input "x" is not known: the model has "ids", "numbers"$/],
  [{ ...ids, name: 'x'.repeat(10_000), data: [] }, /^input "x{64}…" is not known/],
  [
    { ...ids, datatype: 'FP32', data: [] },
    /input "ids" can't have the datatype "FP32": it takes BOOL, INT8, .*UINT64$/,
  ],
  [{ ...ids, datatype: 'BYTES', data: [] }, /input "ids" can't have the datatype "BYTES"/],
  [{ ...ids, datatype: 'toString', data: [] }, /input "ids" can't have the datatype "toString"/],
  [{ ...numbers, datatype: 'FP16', data: [] }, /input "numbers" can't have the datatype "FP16": it takes .*FP64$/],
  [{ ...ids, shape: [6], data: [] }, /input "ids" must have the shape \[rows, 3\] with at least one row, not \[6\]/],
  [{ ...ids, shape: [0, 3], data: [] }, /at least one row, not \[0, 3\]/],
  [{ ...ids, shape: [3, 2], data: [] }, /not \[3, 2\]/],
  [{ ...ids, shape: [1, 2, 3], data: [] }, /not \[1, 2, 3\]/],
  [{ ...ids, shape: new Array(30).fill(1), data: [] }, /not \[(1, ){8}…\]/],
  [{ ...ids }, /input "ids" has neither data nor binary_data_size/],
  [{ ...ids, data: 'AAAA' }, /input "ids" must have an array as data/],
  [{ ...ids, data: [] }, /input "ids" has 0 values where its shape takes 6/],
  [{ ...ids, data: [1, 2, 3] }, /input "ids" has 3 values where its shape takes 6/],
  [{ ...ids, shape: [1e15, 3], data: [1, 2, 3] }, /has 3 values where its shape takes 3000000000000000/],
  [{ ...ids, data: [[1, 2, 3]] }, /input "ids" has 1 rows where its shape takes 2/],
  [
    {
      ...ids,
      data: [
        [1, 2, 3],
        [4, 5],
      ],
    },
    /input "ids" has a row 1 that is no array of 3 values/,
  ],
  [{ ...ids, data: [[1, 2, 3], 4] }, /input "ids" has a row 1 that is no array of 3 values/],
  [
    {
      ...ids,
      data: [
        [1, 2, 3],
        [4, 5, [6]],
      ],
    },
    /input "ids"\[1, 2\] must be a number/,
  ],
  [{ ...ids, data: [1, 2, 3, 4, null, 6] }, /input "ids"\[1, 1\] must be a number/],
  [{ ...ids, data: [1, 2, 3, 4, 5.5, 6] }, /input "ids"\[1, 1\] must be an integer from/],
  [{ ...ids, ...binary(24), data: [] }, /input "ids" has both data and binary_data_size/],
  [{ ...ids, ...binary(20) }, /input "ids" has a binary_data_size of 20 where shape \[2, 3\] of INT32 takes 24/],
  [{ ...ids, ...binary(0) }, /input "ids" has a binary_data_size of 0 where/],
  [{ ...ids, datatype: 'INT64', ...binary(24) }, /of INT64 takes 48/],
  [{ ...ids, shape: [2e15, 3], ...binary(2.4e16) }, /only 24 bytes are left of the body/],
  [{ ...ids, shape: [4, 3], ...binary(48) }, /input "ids" has a binary_data_size of 48, but only 24 bytes are left/],
  [{ ...ids, shape: [1, 3], ...binary(12) }, /^The body has 12 bytes more than its JSON part and its tensors take$/],
  [{ ...ids, shape: [1, 3], datatype: 'INT64', ...binary(24) }, /^it is taken$/],
] as const) {
  t.test(`${JSON.stringify(input).slice(0, 100)} is no tensor`, async (t) => {
    const data = 'parameters' in input ? [Int32Array.of(1, 0, 2, 0, 3, 0)] : []
    t.match(
      refusal(() => read({ inputs: [input] }, ...data)),
      message,
    )
  })
}

t.test('what is left of the body is too short for the second tensor', async (t) => {
  t.match(
    refusal(() => read(whole, sixIds, Float32Array.of(1, 2, 3))),
    /input "numbers" has a binary_data_size of 16, but only 12 bytes are left of the body/,
  )
})

t.test('an integer that doubles have no place for is named', async (t) => {
  const input = { ...ids, shape: [1, 3], datatype: 'INT64', ...binary(24) }
  t.match(
    refusal(() => read({ inputs: [input] }, BigInt64Array.of(1n, 2n ** 53n, 3n))),
    /input "ids"\[0, 1\] is an integer beyond/,
  )
})
