/** Reads new entries of both streams on a connection of its own, blocking while there are none. */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import { GROUP, type Keys } from './keys.js';
import { type AdmissionStage, admissionStageOf } from './schema.js';

/** One entry as it came off a stream. */
export interface Entry {
  readonly token: Token;
  /** The key, when the execution has a record. */
  readonly record: string | null;
  /** `null` when the entry has none, which only a foreign writer brings about. */
  readonly message: Buffer | null;
  /** Server milliseconds. */
  readonly dueMs: number;
  /** Deliveries before this one that ended without an outcome. */
  readonly deliveries: number;
  /** How many of them ended because of this execution, as far as can be known. */
  readonly charges: number;
  /** How often it was put back because nobody could run it. */
  readonly reroutes: number;
  /** How far it has got through the limits of its task. */
  readonly admissionStage: AdmissionStage;
  /** Whether it was woken with its slots in hand. */
  readonly holdsPermits: boolean;
}

type RawEntry = [id: Buffer, fields: Buffer[]];

const LETTER_K = 0x6b;
const LETTER_M = 0x6d;
const LETTER_W = 0x77;
const LETTER_D = 0x64;
const LETTER_C = 0x63;
const LETTER_P = 0x70;
const LETTER_O = 0x6f;
const LETTER_H = 0x68;
const DASH = 0x2d;
const DIGIT_0 = 0x30;

/**
 * Reads up to `count` entries per stream, waiting up to `blockMs` for the first one. `front` is named first, so that
 * what has waited before is served before what is new.
 */
export async function readEntries(
  blocking: Redis,
  keys: Keys,
  consumer: string,
  count: number,
  blockMs: number,
): Promise<Entry[]> {
  const reply = (await blocking.xreadgroupBuffer(
    'GROUP',
    GROUP,
    consumer,
    'COUNT',
    count,
    'BLOCK',
    blockMs,
    'STREAMS',
    keys.front,
    keys.work,
    '>',
    '>',
  )) as [stream: Buffer, entries: RawEntry[]][] | null;
  const entries: Entry[] = [];
  for (const [stream, raw] of reply ?? []) {
    const letter = stream.toString() === keys.front ? 'f' : 'w';
    for (const entry of raw) entries.push(parseEntry(letter, entry));
  }
  return entries;
}

function parseEntry(letter: 'w' | 'f', [id, fields]: RawEntry): Entry {
  const token: Token = `${letter}${id.toString('latin1')}`;
  let record: string | null = null;
  let message: Buffer | null = null;
  let dueMs = 0;
  let deliveries = 0;
  let charges = 0;
  let reroutes = 0;
  let admissionStage: AdmissionStage = 'new';
  let holdsPermits = false;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    if (name.length !== 1) continue;
    if (name[0] === LETTER_M) message = value;
    else if (name[0] === LETTER_K) record = value.toString();
    else if (name[0] === LETTER_W) dueMs = Number(value);
    else if (name[0] === LETTER_D) deliveries = Number(value);
    else if (name[0] === LETTER_C) charges = Number(value);
    else if (name[0] === LETTER_P) reroutes = Number(value);
    else if (name[0] === LETTER_O) admissionStage = admissionStageOf(value.toString());
    else if (name[0] === LETTER_H) holdsPermits = true;
  }
  if (dueMs === 0) dueMs = millisecondsOf(id);
  return { token, record, message, dueMs, deliveries, charges, reroutes, admissionStage, holdsPermits };
}

/** An entry's id is `<milliseconds>-<counter>`: the time it was added. */
function millisecondsOf(id: Buffer): number {
  let ms = 0;
  for (let i = 0; i < id.length && id[i] !== DASH; i++) ms = ms * 10 + id[i]! - DIGIT_0;
  return ms;
}
