import type { ImportOptions } from '../../src/tools/convert/import-model.ts'

/** Options of an import that says nothing but where. */
export function importOptions(path: string, models: string, options: Partial<ImportOptions> = {}): ImportOptions {
  return {
    path,
    name: 'imported',
    models,
    version: '1',
    features: undefined,
    architecture: undefined,
    golden: undefined,
    tasks: undefined,
    sizes: undefined,
    context: [],
    cross: [],
    allowUnused: false,
    force: false,
    cache: undefined,
    command: 'multigate import',
    multigateVersion: '0',
    now: () => 0,
    signal: new AbortController().signal,
    progress: () => undefined,
    ...options,
  }
}
