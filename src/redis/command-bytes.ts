/**
 * Writes a command with its arguments as bytes of the Redis protocol. Where an argument is bytes, ioredis makes pieces of
 * each argument and joins them (6.0), which took a fifth of a producer's time (measured). This writes each byte once.
 * Where all arguments are text, ioredis writes one text, which is as fast.
 */
import type { Command, Redis } from 'ioredis';

const CR = 0x0d;
const LF = 0x0a;
const DOLLAR = 0x24;
const STAR = 0x2a;
const DIGIT_0 = 0x30;

/** Text and bytes up to this length are written one by one, which is faster than a call. */
const SHORT = 64;
/** A letter, the digits of a length, and two ends of lines. */
const FRAME_BYTES = 20;
/** A character of a text takes at most this much in UTF-8. */
const CHARACTER_BYTES = 3;

/** Has the scripts that are called with bytes on this connection written by {@link commandBytes}. */
export function writeScriptsFast(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    // `bufferMode` is declared as private (6.0). Without it, everything works as before, only slower.
    const hasBytes = (command as unknown as { bufferMode?: boolean }).bufferMode === true;
    if (hasBytes && command.name === 'EVALSHA') command.toWritable = writeItself;
    return send(command, stream);
  };
}

function writeItself(this: Command): Buffer {
  return commandBytes(this.name, this.args as unknown as readonly (string | Buffer)[]);
}

/** Returns the bytes of a command. */
export function commandBytes(name: string, args: readonly (string | Buffer)[]): Buffer {
  let size = 2 * FRAME_BYTES + name.length * CHARACTER_BYTES;
  for (const arg of args) {
    size += FRAME_BYTES + (typeof arg === 'string' ? arg.length * CHARACTER_BYTES : arg.length);
  }
  const bytes = Buffer.allocUnsafe(size);
  let end = writeNumber(bytes, 0, STAR, args.length + 1);
  end = writeText(bytes, end, name);
  for (const arg of args) end = typeof arg === 'string' ? writeText(bytes, end, arg) : writeBytes(bytes, end, arg);
  return bytes.subarray(0, end);
}

// Each of these writes at `start`, and returns the position behind what it wrote.

function writeNumber(target: Buffer, start: number, letter: number, number: number): number {
  target[start] = letter;
  let end = start + 1;
  if (number < 10) target[end++] = DIGIT_0 + number;
  else if (number < 100) {
    target[end++] = DIGIT_0 + Math.trunc(number / 10);
    target[end++] = DIGIT_0 + (number % 10);
  } else end += target.write(String(number), end, 'latin1');
  return writeLineEnd(target, end);
}

function writeLineEnd(target: Buffer, start: number): number {
  target[start] = CR;
  target[start + 1] = LF;
  return start + 2;
}

function writeText(target: Buffer, start: number, text: string): number {
  if (text.length <= SHORT) {
    let end = writeNumber(target, start, DOLLAR, text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return writeWideText(target, start, text);
      target[end++] = code;
    }
    return writeLineEnd(target, end);
  }
  return writeWideText(target, start, text);
}

function writeWideText(target: Buffer, start: number, text: string): number {
  const end = writeNumber(target, start, DOLLAR, Buffer.byteLength(text));
  return writeLineEnd(target, end + target.write(text, end, 'utf8'));
}

function writeBytes(target: Buffer, start: number, bytes: Buffer): number {
  const end = writeNumber(target, start, DOLLAR, bytes.length);
  if (bytes.length > SHORT) target.set(bytes, end);
  else for (let i = 0; i < bytes.length; i++) target[end + i] = bytes[i]!;
  return writeLineEnd(target, end + bytes.length);
}
