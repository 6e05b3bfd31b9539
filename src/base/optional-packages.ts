/*
 * Packages that only some uses need. A checkout has all of them once its tests have run; users of the package install
 * what they need: package.json lists them as optional peers.
 */

const tensorflow = ['core', 'layers', 'converter', 'backend-wasm'].map((part) => `@tensorflow/tfjs-${part}@4`)

const vega = ['vega@6', 'vega-lite@6']

const openTelemetry = [
  '@opentelemetry/api@1.9',
  '@opentelemetry/core@2.12',
  '@opentelemetry/resources@2.12',
  '@opentelemetry/sdk-trace@2.12',
  '@opentelemetry/exporter-trace-otlp-proto@0.223',
  '@opentelemetry/exporter-trace-otlp-grpc@0.223',
]

/** Packages to install if one is missing: TensorFlow.js needs several of its packages together. */
export const optionalPackages: Record<string, string[]> = {
  '@tensorflow/tfjs-core': tensorflow,
  '@tensorflow/tfjs-layers': tensorflow,
  '@tensorflow/tfjs-converter': tensorflow,
  '@tensorflow/tfjs-backend-wasm': ['@tensorflow/tfjs-backend-wasm@4'],
  '@tensorflow/tfjs-backend-cpu': ['@tensorflow/tfjs-backend-cpu@4'],
  '@tensorflow/tfjs-node': ['@tensorflow/tfjs-node@4'],
  h5wasm: ['h5wasm@0.10'],
  koffi: ['koffi@3'],
  '@aws-sdk/client-s3': ['@aws-sdk/client-s3@3'],
  'google-auth-library': ['google-auth-library@10'],
  vega,
  'vega-lite': vega,
  ...Object.fromEntries(openTelemetry.map((wanted) => [wanted.slice(0, wanted.lastIndexOf('@')), openTelemetry])),
}

/** The missing optional package and how to install it, if that is why `import` or `require` failed. */
export function missingPackage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const name = /^Cannot find (?:package|module) '((?:@[^/']+\/)?[^/']+)/.exec(error.message)?.[1]
  if (name === undefined || !Object.hasOwn(optionalPackages, name)) return undefined
  return `the optional package ${name} is not installed: npm install ${optionalPackages[name]!.join(' ')}`
}
