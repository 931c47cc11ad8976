/** When an execution is due: after a delay, or at a point in time. Both are milliseconds on the server's clock. */
export type Due = { readonly delayMs: number } | { readonly atMs: number };
