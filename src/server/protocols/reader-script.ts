/** The script of the thread that reads large bodies. */
export const readerScript = new URL('./reader-thread.js', import.meta.url)
