// Stands for the module `tap` in a file that test-group.mjs runs; its query is the file's URL.
const tests = globalThis[Symbol.for('multigate.tests')]

export const t = tests.get(decodeURIComponent(new URL(import.meta.url).search.slice(1)))
export default t
