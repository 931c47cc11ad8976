/** The total that progress is measured against unless the task sets its own. */
export const DEFAULT_TOTAL = 100;
