/** Reads and checks what a request asks for: nothing from outside goes further unchecked. */
import type { Context } from 'hono';
import { Refusal } from './refusal.js';

const LONGEST_VALUE = 4_096;

/** Returns a parameter of the query; `undefined` when it is not given or empty. */
export function textParameter(context: Context, name: string): string | undefined {
  return textOrRefusal(context.req.query(name), name) || undefined;
}

/** @throws Refusal when the parameter is not given */
export function requiredParameter(context: Context, name: string): string {
  return textParameter(context, name) ?? refuse(`${name}: it is missing`);
}

/** Returns a whole number within bounds; the default when it is not given. */
export function numberParameter(
  context: Context,
  name: string,
  { low, high, fallback }: { readonly low: number; readonly high: number; readonly fallback: number },
): number {
  const text = context.req.query(name);
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
  return refuse(`${name}: expected a whole number from ${low} to ${high}`);
}

/** Returns one of some words. */
export function wordParameter<W extends string>(context: Context, name: string, words: readonly W[]): W {
  const text = context.req.query(name) ?? '';
  return words.find((word) => word === text) ?? refuse(`${name}: expected one of ${words.join(', ')}`);
}

/** The body of a change: an object, whose parts are read one by one. */
export type Body = Readonly<Record<string, unknown>>;

export async function bodyOf(context: Context): Promise<Body> {
  const body: unknown = await context.req.json().catch(() => refuse('the body is not JSON'));
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  return refuse('the body is not an object');
}

/** @throws Refusal for anything but text that is not empty */
export function textIn(body: Body, name: string): string {
  return textOrRefusal(body[name], name) || refuse(`${name}: it is missing`);
}

/** Returns a text; `null` when it is null or missing. */
export function textOrNullIn(body: Body, name: string): string | null {
  const value = body[name];
  return value === undefined || value === null ? null : textOrRefusal(value, name) || null;
}

function textOrRefusal(value: unknown, name: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') return refuse(`${name}: expected text`);
  return value.length <= LONGEST_VALUE ? value : refuse(`${name}: it is too long`);
}

/** @throws Refusal always */
export function refuse(message: string): never {
  throw new Refusal(400, 'DASHBOARD_REQUEST', message);
}
