/**
 * The message of an execution, as it lies in a stream entry or parked in a record. Owns the wire format:
 *
 *   msgpack [version, task, ttlMs, attempt, id | nil, headers | nil, arguments]
 *
 * The arguments come last and are opaque: producers write them, threads read them, everyone between passes the bytes
 * on. `id` is set for executions without a record (those with one carry their key as a field of the entry). `headers`
 * is text that travels beside the arguments through retries, schedules and put-backs: lines of `name: value`, of which this
 * version writes `traceparent` and `tracestate` (see `tracing.ts`) and passes on what it finds. The first five
 * fields stand in every version to come: a worker that meets a newer message can name it and put it back.
 */
import { Packr } from 'msgpackr';
import { UndecodableValueError } from '../core/errors.js';
import type { Encoder } from './codec.js';
import { TextCache } from './text-cache.js';

/** Raised when a reader of the version before would misread what this one writes. */
export const WIRE_VERSION = 1;

const FIELDS = 7;
const FIXED_ARRAY = 0x90;
const NIL = 0xc0;
const plain = new Packr({ useRecords: false });
const TASK_NAMES = new TextCache();

/** Writes a new message around arguments that `encoder` was chosen for. */
export function encodeEnvelope(
  encoder: Encoder,
  task: string,
  ttlMs: number,
  id: string | null,
  args: unknown,
  headers: string | null = null,
): Buffer {
  return encoder.pack([WIRE_VERSION, task, ttlMs, 1, id, headers, args]);
}

/** Writes the message of another attempt: the same in all but its number and, where given, its encoded arguments. */
export function withAttempt(envelope: Envelope, attempt: number, args: Uint8Array | null = null): Buffer {
  const head = plain.pack([envelope.version, envelope.task, envelope.ttlMs, attempt, envelope.id]);
  head[0] = FIXED_ARRAY | FIELDS;
  const { rest } = envelope;
  return Buffer.concat(args ? [head, rest.subarray(0, rest.length - envelope.args.length), args] : [head, rest]);
}

/**
 * A message, read as far as anybody asks. The coordinator reads the header of every execution it passes on, so the id is
 * decoded, and the arguments are cut out, only on demand.
 */
export class Envelope {
  readonly version: number;
  readonly task: string;
  /** How long state and result are kept after the end, in milliseconds; 0 keeps none. */
  readonly ttlMs: number;
  /** Number of this try, from 1. */
  readonly attempt: number;
  /** The message as a whole. */
  readonly bytes: Buffer;
  readonly #idStart: number;
  readonly #restStart: number;
  readonly #argsStart: number;

  /** @throws UndecodableValueError when the bytes do not begin like a message */
  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const reader = new HeaderReader(this.bytes, 0);
    const fields = reader.arrayLength();
    this.version = reader.number();
    if (this.version <= WIRE_VERSION && fields !== FIELDS) {
      throw new UndecodableValueError(`a message of ${fields} fields`);
    }
    this.task = reader.string(TASK_NAMES);
    this.ttlMs = reader.number();
    this.attempt = reader.number();
    this.#idStart = reader.position;
    reader.skip();
    this.#restStart = reader.position;
    // Newer versions may have anything there.
    if (this.isReadable) reader.skip(); // headers
    this.#argsStart = reader.position;
    if (this.#argsStart >= this.bytes.length) throw new UndecodableValueError('a message without arguments');
  }

  /** Whether this version knows what comes after the first five fields. */
  get isReadable(): boolean {
    return this.version <= WIRE_VERSION;
  }

  /** The execution's own id when it has no record. */
  get id(): string | null {
    return new HeaderReader(this.bytes, this.#idStart).stringOrNull();
  }

  /** What travels beside the arguments; `null` when nothing does, or nothing that this version reads. */
  get headers(): string | null {
    if (!this.isReadable) return null;
    const reader = new HeaderReader(this.bytes, this.#restStart);
    return reader.isText ? reader.string() : null;
  }

  /** What comes after the id, passed on as it is: headers and arguments. */
  get rest(): Buffer {
    return this.bytes.subarray(this.#restStart);
  }

  /** The encoded arguments. */
  get args(): Buffer {
    return this.bytes.subarray(this.#argsStart);
  }
}

/** Walks the few msgpack types a header is made of; building the whole array would decode the arguments. */
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

  string(cache?: TextCache): string {
    const length = this.#length();
    const start = this.#advance(length);
    return cache ? cache.read(this.#bytes, start, length) : this.#bytes.toString('utf8', start, start + length);
  }

  /** Steps over nil, text or bytes. */
  skip(): void {
    if (this.#bytes[this.position] === NIL) this.position += 1;
    else this.#advance(this.#length());
  }

  /** Length of the text or byte string that begins here. */
  #length(): number {
    const type = this.#byte();
    if ((type & 0xe0) === 0xa0) return type & 0x1f;
    if (type === 0xd9 || type === 0xc4) return this.#byte();
    if (type === 0xda || type === 0xc5) return this.#bytes.readUInt16BE(this.#advance(2));
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
