/** Arguments checked against a schema: by the producer before anything is written, by the thread before the body. */
import { InvalidArgumentsError, InvalidOptionError } from '../core/errors.js';

/**
 * The interface that zod, valibot, arktype and others share (Standard Schema, version 1), as far as docket uses it. `I`
 * is what callers give, `O` what the body receives.
 */
export interface StandardSchema<I, O> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<O> | Promise<SchemaResult<O>>;
    readonly types?: { readonly input: I; readonly output: O } | undefined;
  };
}

/** What a schema makes of a value: its output, or what is wrong with it. */
export type SchemaResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Any schema, whatever it takes and gives. */
export type AnySchema = StandardSchema<unknown, unknown>;

/** @throws InvalidOptionError when it is not a schema */
export function checkSchema(schema: unknown): asserts schema is AnySchema {
  const standard = isObject(schema) ? (schema as Partial<AnySchema>)['~standard'] : undefined;
  if (isObject(standard) && typeof standard.validate === 'function') return;
  throw new InvalidOptionError('input', 'expected a Standard Schema, such as zod, valibot and arktype make them');
}

/**
 * Gives the schema's output for the arguments; a promise only when the schema itself is asynchronous, so that an `add`
 * need not wait.
 * @throws InvalidArgumentsError listing what is wrong
 */
export function validateArguments(task: string, schema: AnySchema, args: unknown): unknown {
  const result = schema['~standard'].validate(args);
  if (!isPromise(result)) return outputOf(task, result);
  return Promise.resolve(result).then((later) => outputOf(task, later)); // one of the language's own, whoever made it
}

function outputOf(task: string, result: SchemaResult<unknown>): unknown {
  if (!result.issues) return result.value;
  throw new InvalidArgumentsError(
    task,
    result.issues.map(({ path, message }) => ({ path: pathOf(path ?? []), message })),
  );
}

function pathOf(path: NonNullable<SchemaIssue['path']>): string {
  return path.reduce<string>((text, segment) => {
    const key = typeof segment === 'object' ? segment.key : segment;
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown })?.then === 'function';
}

/** Schemas may be functions with fields: those of arktype are. */
function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
