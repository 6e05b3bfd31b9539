/** What the thread that reads large bodies runs. */
export const readerScript = new URL('./reader-thread.js', import.meta.url)
