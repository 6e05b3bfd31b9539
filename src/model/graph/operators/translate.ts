import type { NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from '../rows/errors.ts'
import type { Translation, Translator } from '../rows/translation.ts'
import { present } from './operator.ts'
import { operatorOf } from './table.ts'

/** Adds the steps of a node; `own`: translators of a back end, by domain and operator. Throws NotTranslated. */
export function translate<T extends Translation>(
  t: T,
  node: NodeProto,
  own: Readonly<Record<string, Translator<T>>>,
): void {
  if (t.isDone(node)) return
  const { domain, opType } = node
  const add = own[domain === '' ? opType : `${domain}.${opType}`] ?? present(operatorOf(node)?.rows)
  if (add === undefined) throw new NotTranslated(`${opType} is not translated`)
  add(t, node)
}
