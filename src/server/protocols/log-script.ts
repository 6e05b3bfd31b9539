/** The script of the thread that writes the prediction log. */
export const logScript = new URL('./log-thread.js', import.meta.url)
