/** An input of a graph; bfloat16, as its bits, and bytes are for oneDNN. */
export interface Feed {
  data: Int32Array | Float32Array | BigInt64Array | Uint16Array | Uint8Array
  dims: readonly number[]
}
