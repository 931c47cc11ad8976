/** What the worker threads run: SHA-256 and brotli of files, synchronously. Only CPU work, and it blocks the event loop. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { brotliCompressSync, constants } from 'node:zlib';
import { collection, type TaskContext, task } from 'docket';

export interface Compressed {
  readonly path: string;
  readonly bytes: number;
  readonly compressedBytes: number;
  readonly sha256: string;
  /** How long the thread worked on it. */
  readonly busyMs: number;
  readonly thread: number;
}

/** Files are read and compressed in blocks, so that memory stays flat and a cancel is noticed, however large the file is. */
const BLOCK_BYTES = 4 * 2 ** 20;
/** For files that report no size, such as those under /proc. */
const UNKNOWN_SIZE_BYTES = 64 * 2 ** 10;
/**
 * Small files get the better and much slower quality. Large ones do not get 9: it needs 32 MB of fresh memory for each call,
 * and threads of one process wait for each other when they touch new pages, so more threads would gain little.
 */
const SMALL_FILE_BYTES = 512 * 2 ** 10;
const QUALITY = { small: 10, large: 8 };
/** How many bytes of a large file take as long as one byte of a small one (measured). */
const LARGE_FILE_SPEED = 11;

/** How much work a file is, in bytes of small files. */
export function workOf(bytes: number): number {
  return bytes <= SMALL_FILE_BYTES ? bytes : bytes / LARGE_FILE_SPEED;
}

/** A file that could not be read. */
export interface Unreadable {
  readonly path: string;
  readonly problem: string;
}

/** Compresses some files, so that the work of a task is worth the trips that it takes, however small the files are. */
export const compress = task('compress', ({ paths }: { readonly paths: readonly string[] }, ctx) =>
  paths.map((path): Compressed | Unreadable => {
    try {
      return compressFile(path, ctx);
    } catch (error) {
      if (error instanceof Error && 'syscall' in error) return { path, problem: error.message };
      throw error;
    }
  }),
);

export const tasks = collection(compress);

function compressFile(path: string, ctx: TaskContext): Compressed {
  const start = performance.now();
  const hash = createHash('sha256');
  let bytes = 0;
  let compressedBytes = 0;
  for (const block of blocks(path)) {
    ctx.throwIfCancelled();
    hash.update(block);
    bytes += block.length;
    compressedBytes += brotliCompressSync(block, { params: brotliParams(block.length) }).length;
  }
  const busyMs = performance.now() - start;
  return { path, bytes, compressedBytes, sha256: hash.digest('hex'), busyMs, thread: ctx.worker.threadId };
}

function brotliParams(bytes: number) {
  const quality = bytes <= SMALL_FILE_BYTES ? QUALITY.small : QUALITY.large;
  return { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes };
}

/** Yields the content of the file; each block overwrites the one before. */
function* blocks(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(file).size || UNKNOWN_SIZE_BYTES, BLOCK_BYTES));
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) yield buffer.subarray(0, read);
  } finally {
    closeSync(file);
  }
}
