/** How the bodies of tasks write into the history: on a server of its own, which no fault hits. */
import { Redis } from 'ioredis';

/** The stream in which starts and ends are, in order. The ids of its entries are their times. */
export const HISTORY_STREAM = 'history';

/** The variable with the path of the history's socket. */
export const HISTORY_VARIABLE = 'CHAOS_HISTORY';

/** The start of a body: it is written before anything else happens there. */
export interface StartNote {
  readonly kind: 'start';
  readonly id: string;
  readonly token: string;
  readonly attempt: number;
  readonly whenMs: number;
  /** What the clock of the worker says, which may be wrong on purpose. */
  readonly clockMs: number;
  readonly worker: string;
  readonly thread: string;
  readonly redelivered: boolean;
  readonly limit: string | null;
}

/** The end of a body: it is written before the body returns or throws. */
export interface EndNote {
  readonly kind: 'end';
  readonly token: string;
}

export type Note = StartNote | EndNote;

let opened: Redis | undefined;

/** Resolves once the history has it. */
export async function note(what: Note): Promise<void> {
  opened ??= new Redis({
    path: process.env[HISTORY_VARIABLE]!,
    enableAutoPipelining: true,
    maxRetriesPerRequest: null,
  });
  await opened.xadd(HISTORY_STREAM, '*', 'note', JSON.stringify(what));
}
