/** The handle that an `add` or a `replace` returns. */
import type { Due } from '../core/due.js';
import type { Disposition, ExecutionState } from '../core/states.js';
import type { Placed } from '../redis/producer-store.js';
import { ExecutionHandle, type HandleInit } from './execution.js';
import type { ExecutionSource } from './execution-source.js';
import type { PreparedCall } from './prepare.js';
import { StruckCall } from './strike-filter.js';
import { struckExecution } from './struck-execution.js';
import type { PlacementResult } from './writer.js';

/** Makes the handle of a call from its result. */
export function addedExecution(
  call: PreparedCall,
  result: PlacementResult,
  source: ExecutionSource,
): ExecutionHandle<unknown> {
  if (result instanceof StruckCall) {
    return struckExecution(call, dueTimeOf(call.due, Date.now()), result.reason, source);
  }
  return new ExecutionHandle(source, new AddedInit(call, result));
}

/** Returns the time at which a call is due if it is placed at `nowMs`, in milliseconds. */
export function dueTimeOf(due: Due | null, nowMs: number): number {
  if (due === null) return nowMs;
  return 'delayMs' in due ? nowMs + due.delayMs : Math.max(nowMs, due.atMs);
}

/** Derives each value on demand: one handle is made for every `add`, and most are never read. */
class AddedInit implements HandleInit {
  constructor(
    private readonly call: PreparedCall,
    private readonly placed: Placed,
  ) {}

  get key(): string {
    return this.call.key;
  }
  get task(): string {
    return this.call.task;
  }
  get args(): unknown {
    return this.placed.isNew ? this.call.args : undefined;
  }
  get dueMs(): number {
    return dueTimeOf(this.call.due, this.placed.nowMs);
  }
  get state(): ExecutionState {
    return this.dueMs > this.placed.nowMs ? 'scheduled' : 'queued';
  }
  get disposition(): Disposition {
    return this.placed.isNew ? 'scheduled' : 'already_scheduled';
  }
  get generation(): number {
    return this.placed.generation;
  }
}
