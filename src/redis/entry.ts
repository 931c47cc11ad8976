/** Reads the entries of the streams: the fields that `ENTRY` names in the schema. Every execution passes here. */
import type { Priority } from '../core/priority.js';
import type { Token } from './delivery-store.js';
import { priorityOf } from './priority-argument.js';
import { type AdmissionStage, ENTRY, STAGE, type StreamLetter } from './schema.js';

/** One entry, decoded. */
export interface Entry {
  readonly token: Token;
  /** The key, when the execution has a record. */
  readonly record: string | null;
  /** `null` when the entry has none, which happens only when another program wrote it. */
  readonly message: Buffer | null;
  /** Server milliseconds. */
  readonly dueMs: number;
  /** Deliveries before this one that ended without an outcome. */
  readonly deliveries: number;
  /** How many of them the execution is charged with. */
  readonly charges: number;
  /** How often it was rerouted. */
  readonly reroutes: number;
  /** How far it has got through the limits of its task. */
  readonly admissionStage: AdmissionStage;
  /** Whether it came with its permits, so that it need not pass its limits again. */
  readonly holdsPermits: boolean;
  /** Whether a rate limit has yet to count its attempt: it was booked, or was counted and did not start. */
  readonly hasBooking: boolean;
  /** @default normal */
  readonly priority?: Priority | undefined;
}

/** An entry as Redis returns it: its id, then names and values in turn. */
export type RawEntry = [id: Buffer, fields: Buffer[]];

// Each field that is read here has one letter, compared as a byte: a name is never decoded.
const KEY = ENTRY.key.charCodeAt(0);
const MESSAGE = ENTRY.message.charCodeAt(0);
const DUE = ENTRY.due.charCodeAt(0);
const DELIVERIES = ENTRY.deliveries.charCodeAt(0);
const CHARGES = ENTRY.charges.charCodeAt(0);
const REROUTES = ENTRY.reroutes.charCodeAt(0);
const ADMISSION_STAGE = ENTRY.stage.charCodeAt(0);
const HOLDS_PERMITS = ENTRY.holdsPermits.charCodeAt(0);
const BOOKING = ENTRY.booking.charCodeAt(0);
const PRIORITY = ENTRY.priority.charCodeAt(0);

/** Reads an entry of the stream with this letter. Fields that this version does not know are skipped. */
export function readEntry(letter: StreamLetter, [id, fields]: RawEntry): Entry {
  const token: Token = `${letter}${id.toString('latin1')}`;
  let record: string | null = null;
  let message: Buffer | null = null;
  let dueMs = 0;
  let deliveries = 0;
  let charges = 0;
  let reroutes = 0;
  let admissionStage: AdmissionStage = 'new';
  let holdsPermits = false;
  let hasBooking = false;
  let priority = priorityOf(letter);
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    if (name.length !== 1) continue;
    switch (name[0]) {
      case MESSAGE:
        message = value;
        break;
      case KEY:
        record = value.toString();
        break;
      case DUE:
        dueMs = numberIn(value);
        break;
      case DELIVERIES:
        deliveries = numberIn(value);
        break;
      case CHARGES:
        charges = numberIn(value);
        break;
      case REROUTES:
        reroutes = numberIn(value);
        break;
      case ADMISSION_STAGE:
        admissionStage = STAGE_OF_CODE.get(value.toString()) ?? 'new'; // an unknown stage skips no limit
        break;
      case HOLDS_PERMITS:
        holdsPermits = true;
        break;
      case BOOKING:
        hasBooking = true;
        break;
      case PRIORITY:
        priority = priorityOf(value.toString());
        break;
    }
  }
  if (dueMs === 0) dueMs = millisecondsOf(id);
  return {
    token,
    record,
    message,
    dueMs,
    deliveries,
    charges,
    reroutes,
    admissionStage,
    holdsPermits,
    hasBooking,
    priority,
  };
}

const STAGE_OF_CODE = new Map<string, AdmissionStage>(
  Object.entries(STAGE).map(([stage, code]) => [code, stage as AdmissionStage]),
);

const DASH = 0x2d;
const DIGIT_0 = 0x30;

/** Reads the time at which an entry was added from its id, `<milliseconds>-<counter>`. */
function millisecondsOf(id: Buffer): number {
  let ms = 0;
  for (let i = 0; i < id.length && id[i] !== DASH; i++) ms = ms * 10 + id[i]! - DIGIT_0;
  return ms;
}

/** Returns 0 for what no worker writes: no number, one below 0, or one that is not finite. */
function numberIn(value: Buffer): number {
  const number = Number(value);
  return number >= 0 && number < Number.POSITIVE_INFINITY ? number : 0;
}
