/** What progress is measured against unless the task says otherwise. */
export const DEFAULT_TOTAL = 100;
