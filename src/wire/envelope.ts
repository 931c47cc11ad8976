/**
 * The message of an execution, as stored in a stream entry or, while it is parked, in a record. Owns the wire format:
 *
 *   msgpack [1, task, ttlMs, attempt, id | nil, headers | nil, arguments]
 *   msgpack [2, task, ttlMs, attempt, id | nil, headers | nil, overrides, arguments]
 *
 * The first number is the version. Version 2 is written only for an execution with overrides, so that a worker that does not know
 * overrides reroutes it. The arguments come last and are opaque: producers write them, threads read them, and everything in
 * between passes the bytes on. `id` is set for executions without a record (those with one have their key in a field of the
 * entry). `headers` is text that travels beside the arguments through retries, schedules and requeues: lines of `name: value`.
 * This version writes `traceparent` and `tracestate` (see `tracing.ts`) and passes on all others. `overrides` is text, too: the
 * policies that this one execution has in place of its task's (`tasks/overrides.ts`). Every future version keeps the first five
 * fields, so that a worker that meets a newer message can name it and reroute it.
 */
import { Packr } from 'msgpackr';
import { UndecodableValueError } from '../core/errors.js';
import type { Encoder } from './codec.js';
import { TextCache } from './text-cache.js';

/**
 * The latest version of the format. It increases when a reader of the previous version would misread what this one writes.
 */
export const WIRE_VERSION = 2;

/** The version of a message without overrides. */
export const PLAIN_VERSION = 1;

const FIELDS = 7;
const FIELDS_WITH_OVERRIDES = 8;
const FIXED_ARRAY = 0x90;
const NIL = 0xc0;
const plain = new Packr({ useRecords: false });
const TASK_NAMES = new TextCache();

/**
 * Writes a new message around arguments that `encoder` was chosen for.
 * @param overrides - text, up to 64 KiB; `null` for none
 */
export function encodeEnvelope(
  encoder: Encoder,
  task: string,
  ttlMs: number,
  id: string | null,
  args: unknown,
  headers: string | null = null,
  overrides: string | null = null,
): Buffer {
  if (overrides !== null) return encoder.pack([WIRE_VERSION, task, ttlMs, 1, id, headers, overrides, args]);
  return encoder.pack([PLAIN_VERSION, task, ttlMs, 1, id, headers, args]);
}

/** Writes the message of another attempt: only the number changes and, where `args` is given, the encoded arguments. */
export function withAttempt(envelope: Envelope, attempt: number, args: Uint8Array | null = null): Buffer {
  const head = plain.pack([envelope.version, envelope.task, envelope.ttlMs, attempt, envelope.id]);
  head[0] = FIXED_ARRAY | fieldsOf(envelope.version);
  const { rest } = envelope;
  return Buffer.concat(args ? [head, rest.subarray(0, rest.length - envelope.args.length), args] : [head, rest]);
}

/** Writes the message of the next run of a chain whose overrides change from run to run. */
export function withOverrides(envelope: Envelope, overrides: string, args: Uint8Array | null = null): Buffer {
  const { task, ttlMs, id, headers } = envelope;
  const head = plain.pack([WIRE_VERSION, task, ttlMs, 1, id, headers, overrides]);
  head[0] = FIXED_ARRAY | FIELDS_WITH_OVERRIDES;
  return Buffer.concat([head, args ?? envelope.args]);
}

function fieldsOf(version: number): number {
  return version === WIRE_VERSION ? FIELDS_WITH_OVERRIDES : FIELDS;
}

/**
 * A message that is read on demand. The coordinator reads the first fields of every execution it passes on, so the id
 * is decoded, and the arguments are cut out, only when somebody asks for them.
 */
export class Envelope {
  readonly version: number;
  readonly task: string;
  /** Milliseconds for which state and result are kept after the end; 0 keeps none. */
  readonly ttlMs: number;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** The whole message. */
  readonly bytes: Buffer;
  readonly #idStart: number;
  readonly #restStart: number;
  readonly #overridesStart: number;
  readonly #argsStart: number;

  /** @throws UndecodableValueError when the bytes do not start like a message */
  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const reader = new HeaderReader(this.bytes, 0);
    const fields = reader.arrayLength();
    this.version = reader.number();
    if (this.isReadable && fields !== fieldsOf(this.version)) {
      throw new UndecodableValueError(`the message has ${fields} fields instead of ${fieldsOf(this.version)}`);
    }
    this.task = reader.string(TASK_NAMES);
    this.ttlMs = reader.number();
    this.attempt = reader.number();
    this.#idStart = reader.position;
    reader.skip();
    this.#restStart = reader.position;
    // Newer versions may have anything here.
    if (this.isReadable) reader.skip(); // headers
    this.#overridesStart = reader.position;
    if (this.version === WIRE_VERSION) reader.skip();
    this.#argsStart = reader.position;
    if (this.#argsStart >= this.bytes.length) throw new UndecodableValueError('the message has no arguments');
  }

  /** Whether this version understands the fields after the first five. */
  get isReadable(): boolean {
    return this.version <= WIRE_VERSION;
  }

  /** The id of an execution without a record; otherwise `null`. */
  get id(): string | null {
    return new HeaderReader(this.bytes, this.#idStart).stringOrNull();
  }

  /** The text that travels beside the arguments; `null` when there is none, or none that this version can read. */
  get headers(): string | null {
    if (!this.isReadable) return null;
    const reader = new HeaderReader(this.bytes, this.#restStart);
    return reader.isText ? reader.string() : null;
  }

  /**
   * The overrides, as text; `null` when there are none.
   * @throws UndecodableValueError when they are not text
   */
  get overrides(): string | null {
    return this.version === WIRE_VERSION ? new HeaderReader(this.bytes, this.#overridesStart).string() : null;
  }

  /** Everything after the id: headers, overrides and arguments, passed on as they are. */
  get rest(): Buffer {
    return this.bytes.subarray(this.#restStart);
  }

  /** The encoded arguments. */
  get args(): Buffer {
    return this.bytes.subarray(this.#argsStart);
  }
}

/** Reads the few msgpack types of the fields before the arguments. A general reader would decode the arguments, too. */
class HeaderReader {
  readonly #bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes;
    this.position = position;
  }

  get isText(): boolean {
    const type = this.#bytes[this.position]!;
    return (type & 0xe0) === 0xa0 || type === 0xd9 || type === 0xda;
  }

  arrayLength(): number {
    const type = this.#byte();
    if ((type & 0xf0) === FIXED_ARRAY) return type & 0x0f;
    throw new UndecodableValueError('the bytes are not a docket message');
  }

  number(): number {
    const type = this.#byte();
    if (type <= 0x7f) return type;
    if (type === 0xcc) return this.#byte();
    if (type === 0xcd) return this.#bytes.readUInt16BE(this.#advance(2));
    if (type === 0xce) return this.#bytes.readUInt32BE(this.#advance(4));
    if (type === 0xcb) return this.#bytes.readDoubleBE(this.#advance(8));
    throw new UndecodableValueError('expected a number in the header of the message');
  }

  stringOrNull(): string | null {
    if (this.#bytes[this.position] !== NIL) return this.string();
    this.position += 1;
    return null;
  }

  string(cache?: TextCache): string {
    const length = this.#length();
    const start = this.#advance(length);
    return cache ? cache.read(this.#bytes, start, length) : this.#bytes.toString('utf8', start, start + length);
  }

  /** Skips nil, text or bytes. */
  skip(): void {
    if (this.#bytes[this.position] === NIL) this.position += 1;
    else this.#advance(this.#length());
  }

  /** Reads the length of the text or bytes that start here. */
  #length(): number {
    const type = this.#byte();
    if ((type & 0xe0) === 0xa0) return type & 0x1f;
    if (type === 0xd9 || type === 0xc4) return this.#byte();
    if (type === 0xda || type === 0xc5) return this.#bytes.readUInt16BE(this.#advance(2));
    throw new UndecodableValueError('expected text in the header of the message');
  }

  #byte(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  #advance(count: number): number {
    const start = this.position;
    if (start + count > this.#bytes.length) throw new UndecodableValueError('the message is truncated');
    this.position = start + count;
    return start;
  }
}
