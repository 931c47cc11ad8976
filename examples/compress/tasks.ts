/** What the worker threads run: SHA-256 and brotli of one file, synchronously. Nothing but CPU, and no event loop to spare. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { brotliCompressSync, constants } from 'node:zlib';
import { collection, task } from 'docket';

export interface Compressed {
  readonly path: string;
  readonly bytes: number;
  readonly compressedBytes: number;
  readonly sha256: string;
  /** How long the thread was busy with it. */
  readonly busyMs: number;
  readonly thread: number;
}

/** Files are read and compressed in blocks, so that memory stays flat and a cancel is seen, however large they are. */
const BLOCK_BYTES = 4 * 2 ** 20;
/** For files that do not know their size, such as those under /proc. */
const UNKNOWN_SIZE_BYTES = 64 * 2 ** 10;
/** High enough to take seconds for a few megabytes. */
const QUALITY = 9;

export const compress = task('compress', ({ path }: { readonly path: string }, ctx): Compressed => {
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
});

export const tasks = collection(compress);

/** Told the size, brotli takes no more memory than a small file needs. */
function brotliParams(bytes: number) {
  return { [constants.BROTLI_PARAM_QUALITY]: QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes };
}

/** Yields the file's content; a block is overwritten by the next one. */
function* blocks(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(file).size || UNKNOWN_SIZE_BYTES, BLOCK_BYTES));
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) yield buffer.subarray(0, read);
  } finally {
    closeSync(file);
  }
}
