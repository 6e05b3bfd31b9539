/** A node that is not computed by products and steps over rows; the reason. */
export class NotTranslated extends Error {}
