import { toBinary } from '@bufbuild/protobuf'
import { external } from '../../graph/external-data.ts'
import { GraphBuilder } from '../../graph/graph-builder.ts'
import { TensorProto_DataType as DataType, ModelProtoSchema } from '../../graph/onnx_pb.ts'
import { catalogueFiles, catalogueTensors } from './names.ts'

/**
 * The ONNX file that reads rows of a catalogue: of int32 slots [batch], the stored rows [batch, words]. They lie
 * in a file beside it, which ONNX Runtime maps into memory.
 */
export function catalogueGraph(rows: number, words: number): Uint8Array {
  const { slots, stored } = catalogueTensors
  const builder = new GraphBuilder([slots, stored])
  const name = catalogueFiles.rows
  const shape = { name, dataType: DataType.INT32, dims: [BigInt(rows), BigInt(words)] }
  builder.tensor(external(shape, name, 0, rows * words * 4))
  builder.node('Gather', [name, slots], stored, { axis: { int: 0 } })
  const model = builder.finish(
    [{ name: slots, dtype: 'int32', dims: [] }],
    [{ name: stored, dtype: 'int32', dims: [words] }],
  )
  return toBinary(ModelProtoSchema, model)
}
