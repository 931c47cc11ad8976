/** What the bodies of the tasks do: each records its start and its end in the history. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import type { Harm } from './history.js';
import { note } from './recorder.js';

export interface WorkArguments {
  readonly id: string;
  /** How long the body takes. */
  readonly ms?: number;
  /** Whether it uses the core all the while. */
  readonly spins?: boolean;
  /** How many attempts fail before one succeeds. */
  readonly fails?: number;
  readonly lane?: string;
  /** Makes the message larger. */
  readonly filler?: string;
}

export interface WorkResult {
  readonly token: string;
}

/** What a body needs of its context. */
interface Seen {
  readonly attempt: number;
  readonly when: Date;
  readonly redelivered: boolean;
  readonly worker: { readonly name: string };
}

/** Records the start of a body, and returns the token of that. */
export async function begun(args: WorkArguments, ctx: Seen): Promise<string> {
  const token = randomUUID();
  const { attempt, redelivered, worker } = ctx;
  const limit = args.lane ?? null;
  const seen = { whenMs: ctx.when.getTime(), clockMs: Date.now(), thread: `${process.pid}/${threadId}` };
  await note({ kind: 'start', id: args.id, token, attempt, ...seen, worker: worker.name, redelivered, limit });
  return token;
}

/** Works for as long as it is told, and fails if it is told to. */
export async function lived(args: WorkArguments, ctx: Seen): Promise<WorkResult> {
  const token = await begun(args, ctx);
  if (args.spins) spin(args.ms ?? 0);
  else await sleep(args.ms ?? 0);
  await note({ kind: 'end', token });
  if (ctx.attempt <= (args.fails ?? 0)) throw new Error('fails as planned');
  return { token };
}

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** What a body can do to its thread. */
export type Crime = 'exits' | 'throws later' | 'rejects' | 'eats memory' | 'asks for too much' | 'never yields';

/** What each of them ends. Memory belongs to the process, so without it a thread may not be the only one to end. */
export const HARMS: Readonly<Record<Crime, Harm>> = {
  exits: 'thread',
  'throws later': 'thread',
  rejects: 'thread',
  'eats memory': 'process',
  'asks for too much': 'process',
  'never yields': 'thread',
};

/** Does harm to the thread on which it is called. */
export async function commit(crime: Crime): Promise<void> {
  const kept: unknown[] = [];
  switch (crime) {
    case 'exits':
      process.exit(3);
      break;
    case 'throws later':
      setTimeout(() => {
        throw new Error('nobody catches this');
      });
      return await sleep(5_000);
    case 'rejects':
      void Promise.reject(new Error('nobody handles this'));
      return await sleep(5_000);
    case 'eats memory':
      for (;;) kept.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
    case 'asks for too much':
      kept.push(new Array(25_000_000).fill(0.5)); // 200 MB
      return;
    case 'never yields':
      spin(20_000);
  }
}
