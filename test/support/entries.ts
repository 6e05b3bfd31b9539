import { join } from 'node:path'

/** Where coverage is measured, the modules that are bundled take the bundle's place: it maps to single files. */
const folder = join(import.meta.dirname, process.env.NODE_V8_COVERAGE ? '../../src' : '../../../dist')

/** The server's process, as `npm start` runs it. */
export const main = join(folder, 'main.js')

/** The command line. */
export const cli = join(folder, 'cli.js')

/** The library. */
export const library = join(folder, 'index.js')
