/** oneDNN can't be used here; why. */
export class OnednnUnavailable extends Error {}
