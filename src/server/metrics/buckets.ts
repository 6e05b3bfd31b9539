/** Upper bounds in seconds: 0.25 ms … 2.5 s, beyond the default deadline. */
export const durations = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Upper bounds of numbers of rows and requests. */
export const powersOfTwo = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
