/**
 * A declared task as everything but its thread sees it: a name and, for the compiler, the types of its arguments and
 * result.
 */

declare const args: unique symbol;
declare const result: unique symbol;

/** A declared task. `A` is what callers pass, `R` what the body returns; both exist for the compiler only. */
export interface Task<Name extends string, A, R> {
  readonly name: Name;
  readonly [args]: (a: A) => void;
  readonly [result]: R;
}

/** Any task, whatever its arguments and result. */
export type AnyTask = Task<string, never, unknown>;
