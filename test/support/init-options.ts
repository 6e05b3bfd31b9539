import type { InitOptions } from '../../src/tools/convert/write-init.ts'

/** Options of `multigate init` without any flag. */
export const initOptions = (path: string, models: string): InitOptions => ({
  path,
  models,
  name: undefined,
  version: undefined,
  tasks: undefined,
  outputs: undefined,
  stated: undefined,
  derived: [],
  data: undefined,
  sides: { context: [], cross: [] },
  golden: undefined,
  allowUnused: false,
  force: false,
})
