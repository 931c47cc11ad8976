/** The finding of one check of `docket doctor`. */

/** `warn`: the docket works, but may lose or delay work. `fail`: it does not work, or loses work as it is set up. */
export type Health = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly check: string;
  readonly status: Health;
  readonly detail: string;
  /** What to do about it; `null` when nothing is to be done. */
  readonly advice: string | null;
}

export function ok(check: string, detail: string): Finding {
  return { check, status: 'ok', detail, advice: null };
}

export function warn(check: string, detail: string, advice: string): Finding {
  return { check, status: 'warn', detail, advice };
}

export function fail(check: string, detail: string, advice: string): Finding {
  return { check, status: 'fail', detail, advice };
}
