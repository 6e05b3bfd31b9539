/** TypeScript knows it by the types of browsers alone. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> }
}

const pageBytes = 2 ** 16

/** The kernel in memory of its own. */
export interface KernelInstance {
  /** Zeros; a whole number of pages. */
  buffer: ArrayBuffer
  exports: Record<string, unknown>
}

/**
 * Compiles a kernel that imports its memory as `name`.memory; `import kernel from './kernel.wat'` gives its bytes. What
 * this returns makes an instance with at least `size` bytes, and throws RangeError where the system refuses the memory,
 * or it would exceed 4 GiB.
 */
export function compileKernel(bytes: Uint8Array, name: string): (size: number) => KernelInstance {
  const module = new WebAssembly.Module(bytes)
  return (size) => {
    const pages = Math.ceil(size / pageBytes)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const { exports } = new WebAssembly.Instance(module, { [name]: { memory } })
    return { buffer: memory.buffer, exports }
  }
}
