/*
 * `npm test` runs a test file that imports this in a process of its own, and not with others
 * (scripts/test-processes.mjs). That is for files that change or measure what a process has one of, such as its memory,
 * and can't undo it. The import says why.
 */
