import type { Translator } from '../rows/translation.ts'
import { matMulInteger, matMulIntegerToFloat, qGemm, quantizeLinear } from './bytes.ts'
import { pairProductNode } from './layers-over-pairs.ts'
import { pairProduct } from './pair-product.ts'
import { products } from './products.ts'
import type { OnednnTranslation } from './translation.ts'

/** Products, and what surrounds those of bytes; operators of ONNX Runtime's own by their domain. */
export const operators: Record<string, Translator<OnednnTranslation>> = {
  ...products,
  [`${pairProductNode.domain}.${pairProductNode.opType}`]: pairProduct,
  MatMulInteger: matMulInteger,
  QuantizeLinear: quantizeLinear,
  'com.microsoft.MatMulIntegerToFloat': matMulIntegerToFloat,
  'com.microsoft.QGemm': qGemm,
}
