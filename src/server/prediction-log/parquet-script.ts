/** The script of the thread that makes Parquet of finished files. */
export const parquetScript = new URL('./log-parquet-thread.js', import.meta.url)
