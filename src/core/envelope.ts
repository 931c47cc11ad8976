/**
 * The message of an execution, as it lies in a stream entry or parked in a record. Owns the wire format:
 *
 *   msgpack [version, task, ttlMs, attempt, id | nil, headers | nil, arguments]
 *
 * The arguments come last and are opaque: producers write them, threads read them, everyone between passes the bytes
 * on. `id` is set for executions without a record (those with one carry their key as a field of the entry). `headers`
 * is room for what travels beside the arguments; this version writes none and passes on what it finds. The first five
 * fields stand in every version to come: a worker that meets a newer message can name it and put it back.
 */
import { Packr } from 'msgpackr';
import type { Encoder } from './codec.js';
import { UndecodableValueError } from './errors.js';

/** Raised when a reader of the version before would misread what this one writes. */
export const WIRE_VERSION = 1;

const FIELDS = 7;
const FIXED_ARRAY = 0x90;
const NIL = 0xc0;
const EMPTY = Buffer.alloc(0);
const plain = new Packr({ useRecords: false });

export interface Envelope {
  readonly version: number;
  readonly task: string;
  /** How long state and result are kept after the end, in milliseconds; 0 keeps none. */
  readonly ttlMs: number;
  /** Number of this try, from 1. */
  readonly attempt: number;
  /** The execution's own id when it has no key. */
  readonly id: string | null;
  /** The encoded headers, passed on as they are. */
  readonly extra: Buffer;
  /** The encoded arguments; empty when `version` is newer than this reader. */
  readonly args: Buffer;
}

/** Writes a new message around arguments that `encoder` was chosen for. */
export function encodeEnvelope(
  encoder: Encoder,
  task: string,
  ttlMs: number,
  id: string | null,
  args: unknown,
): Buffer {
  return encoder.pack([WIRE_VERSION, task, ttlMs, 1, id, null, args]);
}

/** Writes the message of the next attempt: the same in all but its number. */
export function withAttempt(envelope: Envelope, attempt: number): Buffer {
  const head = plain.pack([envelope.version, envelope.task, envelope.ttlMs, attempt, envelope.id]);
  head[0] = FIXED_ARRAY | FIELDS;
  return Buffer.concat([head, envelope.extra, envelope.args]);
}

/**
 * Reads a message without decoding its arguments.
 * @throws UndecodableValueError when the bytes are not a message this version can read
 */
export function decodeEnvelope(bytes: Buffer): Envelope {
  const reader = new HeaderReader(bytes);
  const fields = reader.arrayLength();
  const version = reader.number();
  const task = reader.string();
  const ttlMs = reader.number();
  const attempt = reader.number();
  const id = reader.stringOrNull();
  const known = { version, task, ttlMs, attempt, id };
  if (version > WIRE_VERSION) return { ...known, extra: bytes.subarray(reader.position), args: EMPTY };
  if (fields !== FIELDS) throw new UndecodableValueError(`a message of ${fields} fields`);
  const extraStart = reader.position;
  reader.skipHeaders();
  const argsStart = reader.position;
  if (argsStart >= bytes.length) throw new UndecodableValueError('a message without arguments');
  return { ...known, extra: bytes.subarray(extraStart, argsStart), args: bytes.subarray(argsStart) };
}

/** Walks the few msgpack types a header is made of; building the whole array would decode the arguments. */
class HeaderReader {
  readonly #bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  arrayLength(): number {
    const type = this.#byte();
    if ((type & 0xf0) === FIXED_ARRAY) return type & 0x0f;
    throw new UndecodableValueError('not a docket message');
  }

  number(): number {
    const type = this.#byte();
    if (type <= 0x7f) return type;
    if (type === 0xcc) return this.#byte();
    if (type === 0xcd) return this.#bytes.readUInt16BE(this.#advance(2));
    if (type === 0xce) return this.#bytes.readUInt32BE(this.#advance(4));
    if (type === 0xcb) return this.#bytes.readDoubleBE(this.#advance(8));
    throw new UndecodableValueError('expected a number in a message header');
  }

  stringOrNull(): string | null {
    if (this.#bytes[this.position] !== NIL) return this.string();
    this.position += 1;
    return null;
  }

  string(): string {
    const length = this.#stringLength();
    const start = this.#advance(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** Steps over nil or a byte string, the two forms headers take. */
  skipHeaders(): void {
    const type = this.#byte();
    if (type === NIL) return;
    if (type === 0xc4) this.#advance(this.#byte());
    else if (type === 0xc5) this.#advance(this.#bytes.readUInt16BE(this.#advance(2)));
    else throw new UndecodableValueError('headers that are neither nil nor bytes');
  }

  #stringLength(): number {
    const type = this.#byte();
    if ((type & 0xe0) === 0xa0) return type & 0x1f;
    if (type === 0xd9) return this.#byte();
    if (type === 0xda) return this.#bytes.readUInt16BE(this.#advance(2));
    throw new UndecodableValueError('expected text in a message header');
  }

  #byte(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  #advance(count: number): number {
    const start = this.position;
    if (start + count > this.#bytes.length) throw new UndecodableValueError('a truncated message');
    this.position = start + count;
    return start;
  }
}
