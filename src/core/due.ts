/** When an execution is due: after a delay, or at a time in server milliseconds. Both count on the server's clock. */
export type Due = { readonly delayMs: number } | { readonly atMs: number };
