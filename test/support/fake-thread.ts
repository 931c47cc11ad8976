/** A thread without an event loop: what tests of the dispatcher and its neighbours have in place of worker threads. */

import type { OutcomeBatch } from '../../src/channel/protocol.js';
import type { Manifest } from '../../src/tasks/manifest.js';
import type { Thread } from '../../src/worker/threads/thread.js';
import { deferred } from './wait.js';

/** Does nothing of itself, and remembers what it was asked; a test says in a class of its own what becomes of chunks. */
export abstract class IdleThread implements Thread {
  readonly manifest: Manifest;
  readonly isEnforceable: boolean;
  /** Whether something holds its event loop. */
  isUnresponsive = false;
  /** How often it was told to look for cancelled runs. */
  attended = 0;
  /** The time each `terminate` gave it. */
  readonly graces: number[] = [];
  readonly #exit = deferred();
  readonly exited = this.#exit.promise;

  constructor({ manifest = { tasks: [], fallback: null }, isEnforceable = true }: Partial<Thread> = {}) {
    this.manifest = manifest;
    this.isEnforceable = isEnforceable;
  }

  abstract run(chunk: Uint8Array, patienceMs: number): Promise<OutcomeBatch>;

  /** Whether it was told to end. */
  get isEnded(): boolean {
    return this.graces.length > 0;
  }

  attend(): number {
    this.attended += 1;
    return this.attended;
  }

  hasAttended(): boolean {
    return !this.isUnresponsive;
  }

  async notifyFailure(): Promise<void> {}

  async terminate(graceMs: number): Promise<void> {
    this.graces.push(graceMs);
  }

  /** It is gone. */
  protected gone(): void {
    this.#exit.resolve();
  }
}
