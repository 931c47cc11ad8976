/** The values of strikes as JSON, which lacks bigints, dates and numbers that are not finite: those are tagged. */
import type { StrikeOperand, StrikeValue } from '../../wire/strikes.js';
import type { OperandJson, ValueJson } from '../api.js';
import { Refusal } from './refusal.js';

export function operandJson(operand: StrikeOperand): OperandJson {
  return Array.isArray(operand)
    ? [valueJson(operand[0] as StrikeValue), valueJson(operand[1] as StrikeValue)]
    : valueJson(operand as StrikeValue);
}

/** Returns a single value. */
export function valueJson(value: StrikeValue): ValueJson {
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (value instanceof Date) return { date: value.getTime() };
  return typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
}

/** @throws Refusal when it is not a value of a strike */
export function operandOf(json: unknown): StrikeOperand {
  if (Array.isArray(json) && json.length === 2) return [strikeValueOf(json[0]), strikeValueOf(json[1])];
  return strikeValueOf(json);
}

function strikeValueOf(json: unknown): StrikeValue {
  if (json === null || ['string', 'number', 'boolean'].includes(typeof json)) return json as StrikeValue;
  const { bigint, date, number } = (json ?? {}) as Record<string, unknown>;
  if (typeof bigint === 'string' && /^-?\d{1,400}$/.test(bigint)) return BigInt(bigint);
  if (typeof date === 'number') return new Date(date);
  if (typeof number === 'string') return Number(number);
  throw new Refusal(400, 'DASHBOARD_VALUE', 'a value is text, a number, true, false or null');
}
