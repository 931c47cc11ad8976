/**
 * Finds the scripts that keep Redis from everybody else for long. SLOWLOG takes wall time, so it also has the time that the
 * server waits for a core: that time is read from the kernel, and shown beside. Where the bench may, it gives the server
 * priority, so that little of it is left.
 */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Redis } from 'ioredis';

/** What is too long for one script. */
export const SLOW_US = 5_000;
const KEPT_ENTRIES = 10_000;

export interface SlowScripts {
  /** How often a script took longer than `SLOW_US`, by its name. */
  readonly counts: ReadonlyMap<string, number>;
  /** Milliseconds that the server waited for a core; `null` where there is no /proc. */
  readonly waitedMs: number | null;
}

export class SlowScriptWatch {
  readonly #admin: Redis;
  readonly #pid: number;
  readonly #waitedBefore: number | null;

  /** Empties the log, and begins to watch. */
  static async start(admin: Redis): Promise<SlowScriptWatch> {
    const pid = Number(/process_id:(\d+)/.exec(await admin.info('server'))?.[1]);
    try {
      setPriority(pid, -20);
    } catch {
      // This user may not. The time that the server waits is shown in any case.
    }
    await admin.config('SET', 'slowlog-log-slower-than', SLOW_US, 'slowlog-max-len', KEPT_ENTRIES);
    await admin.call('SLOWLOG', 'RESET');
    return new SlowScriptWatch(admin, pid);
  }

  private constructor(admin: Redis, pid: number) {
    this.#admin = admin;
    this.#pid = pid;
    this.#waitedBefore = waitedMs(pid);
  }

  /** Reads the log. `nameOf` names a script by its digest. */
  async stop(nameOf: (digest: string) => string): Promise<SlowScripts> {
    const entries = (await this.#admin.call('SLOWLOG', 'GET', '-1')) as [number, number, number, string[]][];
    const counts = new Map<string, number>();
    for (const [, , , [command, digest]] of entries) {
      if (!/^evalsha$/i.test(command!)) continue;
      const name = nameOf(digest!);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const waited = waitedMs(this.#pid);
    const waitedBefore = this.#waitedBefore;
    return { counts, waitedMs: waited === null || waitedBefore === null ? null : waited - waitedBefore };
  }
}

/** Reads how long the main thread of a process has waited for a core. Linux only. */
function waitedMs(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return null;
  }
}
