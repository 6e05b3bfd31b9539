/** oneDNN can't be used here; why. */
export class OnednnUnavailable extends Error {}

/** A node that is not computed by products and steps over rows; the reason. */
export class NotTranslated extends Error {}
