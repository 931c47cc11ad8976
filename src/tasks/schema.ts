/** Checks arguments against a schema: in the producer before anything is written, and in the thread before the body. */
import { InvalidArgumentsError, InvalidOptionError } from '../core/errors.js';

/**
 * The part that docket uses of the interface that zod, valibot, arktype and others share (Standard Schema, version 1).
 * `I` is the type that callers pass, `O` the one that the body receives.
 */
export interface StandardSchema<I, O> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<O> | Promise<SchemaResult<O>>;
    readonly types?: { readonly input: I; readonly output: O } | undefined;
  };
}

/** The result of a schema for a value: its output, or a list of problems. */
export type SchemaResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One problem that a schema has found. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Any schema, whatever its input and output are. */
export type AnySchema = StandardSchema<unknown, unknown>;

/** @throws InvalidOptionError when `schema` is not a Standard Schema */
export function checkSchema(schema: unknown): asserts schema is AnySchema {
  const standard = isObject(schema) ? (schema as Partial<AnySchema>)['~standard'] : undefined;
  if (isObject(standard) && typeof standard.validate === 'function') return;
  throw new InvalidOptionError('input', 'expected a Standard Schema, such as one of zod, valibot or arktype');
}

/**
 * Returns the output of the schema for the arguments. It is a promise only when the schema is asynchronous, so that an
 * `add` need not wait otherwise.
 * @throws InvalidArgumentsError listing the problems
 */
export function validateArguments(task: string, schema: AnySchema, args: unknown): unknown {
  const result = schema['~standard'].validate(args);
  if (!isPromise(result)) return outputOf(task, result);
  return Promise.resolve(result).then((later) => outputOf(task, later)); // `result` may be any thenable
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

/** Schemas may be functions with fields, as those of arktype are. */
function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
