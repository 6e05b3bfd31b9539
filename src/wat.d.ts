/** WebAssembly's text format: the build compiles it (scripts/webassembly.mjs). */
declare module '*.wat' {
  const bytes: Uint8Array
  export default bytes
}
