import { invalidIn } from '../../../ir/file-errors.ts'
import { type Application, input, type Operator } from '../application.ts'
import { type Budget, integersOf, readTensorProto, type TensorData } from '../tensor-data.ts'
import { mostContents, tensorOf, type Value } from '../value.ts'

const same: Operator = (application) => input(application, 0)

const sameAll: Operator = ({ inputs }) => inputs

/** A variable, whose value another node reads. */
const variable: Operator = ({ node, program }) => {
  const stored = program.variable(node.name)
  return { type: stored.type, dims: [...stored.shape], variable: stored }
}

const readVariable: Operator = (application) => application.stored(input(application, 0))

/** TensorFlow 1 variables, which are read without a ReadVariableOp. */
const oldVariable: Operator = (application) => application.stored(variable(application) as Value)

/** Sources of a graph: inputs of the signature, constants, variables. */
export function sources(inputs: ReadonlyMap<string, Value>, budget: Budget): Record<string, Operator> {
  const placeholder: Operator = ({ node, program }) => {
    const value = inputs.get(node.name)
    if (value === undefined)
      throw invalidIn(program.file, `node ${node.name} (${node.op}): is no input of the signature`)
    return value
  }

  const constant: Operator = ({ node, program }) => {
    const where = `${program.file}: node ${node.name} (${node.op})`
    const kept = program.weight(node.local)
    if (kept !== undefined) return constantOf(kept)
    const proto = tensorOf(node.attr, 'value')
    if (proto === undefined) throw invalidIn(where, 'has no value')
    return constantOf(narrow(readTensorProto(proto, where, budget), program))
  }

  return {
    Placeholder: placeholder,
    PlaceholderWithDefault: (application) => inputs.get(application.node.name) ?? input(application, 0),
    Const: constant,
    VarHandleOp: variable,
    ReadVariableOp: readVariable,
    VariableV2: oldVariable,
    Variable: oldVariable,
    Identity: same,
    IdentityN: sameAll,
    StopGradient: same,
    PreventGradient: same,
    Snapshot: same,
    EnsureShape: same,
    CheckNumerics: same,
  }
}

function constantOf(data: TensorData): Value {
  const contents = integersOf(data, mostContents)
  return { type: data.type, dims: [...data.shape], data, ...(contents === undefined ? {} : { contents }) }
}

/** Without int64, its constants are int32. */
function narrow(data: TensorData, { int64 }: Application['program']): TensorData {
  if (data.type !== 'int64' || int64 === 'int64') return data
  const wide = new BigInt64Array(new Uint8Array(data.bytes).buffer)
  return { type: 'int32', shape: data.shape, bytes: new Uint8Array(Int32Array.from(wide, Number).buffer) }
}
