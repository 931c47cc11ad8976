/**
 * Lets the scripts go by the time under the key `clock`, in microseconds, which stands still until a sequence moves it.
 * Nothing takes that back, so a test that loads this has a process of its own (`vitest.config.ts`). Ids of entries,
 * TTLs and leases go by the real clock: `stall` lets leases run out, and no sequence takes long enough for anything to
 * expire.
 */
import { createHash } from 'node:crypto';
import { scripts } from './built.js';

const REAL = "local time = redis.call('TIME')";
const STANDING = `local time = redis.call('GET', 'clock')
time = { tonumber(string.sub(time, 1, -7)), tonumber(string.sub(time, -6)) }`;

/** Has this process send other sources of scripts from now on. */
function rewriteScripts(rewrite: (name: string, source: string) => string): void {
  for (const [name, script] of Object.entries(scripts.SCRIPTS)) {
    const source = rewrite(name, script.source);
    Object.assign(script, { source, sha: createHash('sha1').update(source).digest('hex') });
  }
}

/** Has the scripts of this process go by the key `clock`. */
export function stopServerTime(): void {
  rewriteScripts((_, source) => source.replace(REAL, STANDING));
}
