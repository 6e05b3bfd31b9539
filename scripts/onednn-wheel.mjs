// The Python wheel from which setup-onednn.mjs takes oneDNN's shared library, and which sbom.mjs names.

/** oneDNN 3.2, built with GCC's OpenMP. `digest`: SHA-256 of the wheel. */
export const wheel = {
  name: 'onednn-cpu-gomp',
  version: '2023.2.0',
  digest: '2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb',
  license: 'Apache-2.0',
}
