import { parentPort } from 'node:worker_threads'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { KeyList } from '../../model/contracts/key-list.ts'
import { type EncoderSource, encoderFrom } from '../../model/serving/features/encoder.ts'
import { EntityCounts } from '../../model/serving/features/entity-counts.ts'
import { FetchNotes } from '../../model/serving/features/fetched.ts'
import { inTerms, Violations } from '../../model/serving/features/problems.ts'
import { encodeExplained, encodeQuery } from '../../model/serving/prediction/query-rows.ts'
import { FollowedTables } from '../../model/serving/tables/table-handles.ts'
import type { BodyFormat, OpenBody, RequestModel } from '../body/body-format.ts'
import { type Failure, type ReaderAnswer, type ReaderRequest, rowPlaces } from '../body/reader-messages.ts'
import { inferFormat } from './open-inference/infer-format.ts'
import { predictFormat } from './predict/predict-format.ts'
import { servingFormat } from './tensorflow-serving/serving-format.ts'

/*
 * The thread that reads large bodies: parses them and encodes their rows, so that the event loop only moves the result.
 */

const formats = new Map<string, BodyFormat<unknown>>(
  [predictFormat, inferFormat, servingFormat].map((format) => [format.name, format]),
)

/** A model, whose encoder is made when it is first asked for: by then its vocabularies are whole. */
interface KnownModel extends Omit<RequestModel, 'encoder'> {
  source: EncoderSource
  encoder: RequestModel['encoder'] | undefined
}

const models = new Map<number, KnownModel>()
const tables = new FollowedTables()
let unknown = new Map<string, number>()
let cut = new Map<string, number>()
let keys = new EntityCounts()
let opened: OpenBody<unknown> | undefined

function open({ format, bytes, headerLength, bounds }: Extract<ReaderRequest, { type: 'open' }>): ReaderAnswer {
  const { buffer, byteOffset, byteLength } = bytes
  opened = formats.get(format)!.open({ bytes: Buffer.from(buffer, byteOffset, byteLength), headerLength }, bounds)
  return { type: 'opened', asked: opened.asked }
}

function encode({ model: key, options }: Extract<ReaderRequest, { type: 'encode' }>): ReaderAnswer {
  const model = models.get(key)!
  const body = opened!
  opened = undefined
  unknown = new Map()
  cut = new Map()
  keys = new EntityCounts()
  const { found, unknown: sayUnknown, features, tables: handles, ...rest } = options
  if (handles) tables.follow(handles)
  model.encoder ??= encoderFrom(model.source, {
    tables,
    onUnknown: (field) => unknown.set(field, (unknown.get(field) ?? 0) + 1),
    onKeys: (entity, found, unknown) => keys.add(entity, found, unknown),
    onCut: (field, values) => cut.set(field, (cut.get(field) ?? 0) + values),
  })
  const { encoder } = model
  const { rows, inTermsOf } = body.rowsFor({ ...model, encoder })
  const encode = sayUnknown ? encodeExplained : encodeQuery
  const fetched = features ? new FetchNotes() : undefined
  const work = () => encode(rows, encoder, model.tensors.inputs, { ...rest, fetched, problems: new Violations(found) })
  const whole = inTermsOf === undefined ? work() : inTerms(inTermsOf, work)
  const { placeOf, ...encoded } = whole
  // It loses its class on its way.
  if (encoded.ids instanceof KeyList) encoded.ids = encoded.ids.texts()
  const numeric = [...new Set(encoder.layout.dense.map(({ field }) => field.name))]
  return { type: 'encoded', encoded, places: rowPlaces(placeOf, numeric, inTermsOf), unknown, cut, keys: keys.byEntity }
}

function failureOf(error: unknown): Failure {
  if (error instanceof ModelError) return { message: error.message, code: error.code, problems: error.problems }
  return { message: error instanceof Error ? (error.stack ?? error.message) : reasonOf(error) }
}

/** Replies; typed arrays are moved, not copied. */
function answer(work: () => ReaderAnswer): void {
  let reply: ReaderAnswer
  try {
    reply = work()
  } catch (error) {
    opened = undefined
    reply = { type: 'failed', failure: failureOf(error) }
  }
  const moved = reply.type === 'encoded' ? [reply.encoded.sparse.buffer, reply.encoded.dense.buffer] : []
  parentPort!.postMessage(reply, [...new Set(moved)] as ArrayBuffer[])
}

parentPort!.on('message', (request: ReaderRequest) => {
  switch (request.type) {
    case 'open':
      return answer(() => open(request))
    case 'encode':
      return answer(() => encode(request))
    case 'model': {
      const { model, ...parts } = request
      models.set(model, { ...parts, encoder: undefined })
      return
    }
    case 'vocabulary': {
      const { source } = models.get(request.model)!
      const field = 'features' in source ? source.features[request.field] : undefined
      if (field?.kind === 'vocabulary') for (const value of request.values) field.values.push(value)
      return
    }
    case 'forget':
      models.delete(request.model)
  }
})
