import Type from 'typebox'

/** Settings of the requests that `GET /debug/requests` and the console show, part of the configuration. */
export const recordedRequestSettings = {
  MULTIGATE_SLOW_REQUESTS: Type.Integer({
    minimum: 0,
    maximum: 1000,
    default: 0,
    description:
      'How many of the slowest requests of each minute are recorded, without their values, for `GET /debug/requests` and the console; 0 records none',
  }),
  MULTIGATE_RECENT_REQUESTS: Type.Integer({
    minimum: 0,
    maximum: 1000,
    default: 0,
    description:
      'How many of the last requests are recorded in the same way; 0 records none. Failed requests are recorded where either is above 0',
  }),
  MULTIGATE_SLOW_BODIES: Type.Boolean({
    default: false,
    description:
      'Record the bodies of these requests too, up to 64 KiB each, without the fields that the manifest marks `log: drop` and with hashes of those marked `log: hash`',
  }),
}
