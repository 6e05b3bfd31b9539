/** Bytes of a tensor's numbers, little-endian. */
export function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}

/** A body of the Open Inference Protocol: the JSON part, then the bytes; and the header that says where they begin. */
export function inferBody(
  json: unknown,
  ...tensors: ArrayBufferView[]
): { payload: Buffer; headers: Record<string, string> } {
  const head = Buffer.from(JSON.stringify(json))
  const payload = Buffer.concat([head, ...tensors.map(bytesOf)])
  return { payload, headers: tensors.length === 0 ? {} : { 'inference-header-content-length': String(head.length) } }
}
