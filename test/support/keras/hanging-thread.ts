/* A thread that never answers. */
setInterval(() => undefined, 1000)
