/** A node that is not computed by steps over rows; the reason. */
export class NotTranslated extends Error {}
