import { toBinary } from '@bufbuild/protobuf'
import type { CatalogueDescription, RowPrecision } from '../../contracts/catalogue.ts'
import { external } from '../../graph/external-data.ts'
import { GraphBuilder } from '../../graph/graph-builder.ts'
import { TensorProto_DataType as DataType, ModelProtoSchema } from '../../graph/onnx_pb.ts'
import { catalogueFiles, catalogueTensors } from './names.ts'
import { rowBytes } from './row-format.ts'

const types: Record<RowPrecision, DataType> = {
  float32: DataType.FLOAT,
  bfloat16: DataType.BFLOAT16,
  int8: DataType.INT8,
}

/**
 * The ONNX file that reads rows of a catalogue: of int32 slots [batch], the parts as float32 [batch, width] and the keys
 * [batch, keyWords]. Rows and keys lie in files beside it, which ONNX Runtime maps into memory.
 */
export function catalogueGraph({
  rows,
  widths,
  keyWords,
  precision,
}: Pick<CatalogueDescription, 'rows' | 'widths' | 'keyWords' | 'precision'>): Uint8Array {
  const width = widths.reduce((sum, width) => sum + width, 0)
  const { slots, parts, keys } = catalogueTensors
  const builder = new GraphBuilder([slots, parts, keys])
  const table = (file: string, dataType: DataType, columns: number, bytes: number) =>
    builder.tensor(external({ name: file, dataType, dims: [BigInt(rows), BigInt(columns)] }, file, 0, rows * bytes))
  const gather = (name: string, output: string) => builder.node('Gather', [name, slots], output, { axis: { int: 0 } })

  const scaleBytes = precision === 'int8' ? 4 : 0
  const values = table(catalogueFiles.rows, types[precision], width, rowBytes(precision, width) - scaleBytes)
  if (precision === 'float32') gather(values, parts)
  else {
    const stored = gather(values, builder.fresh('stored'))
    const cast = precision === 'int8' ? builder.fresh('cast') : parts
    builder.node('Cast', [stored], cast, { to: { int: DataType.FLOAT } })
    if (precision === 'int8') {
      const scales = gather(table(catalogueFiles.scales, DataType.FLOAT, 1, scaleBytes), builder.fresh('scale'))
      builder.node('Mul', [cast, scales], parts)
    }
  }
  gather(table(catalogueFiles.keys, DataType.INT32, keyWords, 4 * keyWords), keys)
  const model = builder.finish(
    [{ name: slots, dtype: 'int32', dims: [] }],
    [
      { name: parts, dtype: 'float32', dims: [width] },
      { name: keys, dtype: 'int32', dims: [keyWords] },
    ],
  )
  return toBinary(ModelProtoSchema, model)
}
