/** Reads what bodies have recorded, bit by bit, from the server of the history. */
import { Redis } from 'ioredis';
import { waitFor } from '../support/wait.js';
import type { Attempt } from './history.js';
import { HISTORY_STREAM, type Note } from './recorder.js';

const PAGE = 5_000;

export class HistoryReader {
  readonly #redis: Redis;
  readonly #byToken = new Map<string, Attempt>();
  readonly #started = new Set<string>();
  readonly #ended = new Set<string>();
  #last = '0';
  #reading: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#redis = new Redis({ path });
  }

  /** All attempts that have been recorded until now. */
  get attempts(): Attempt[] {
    return [...this.#byToken.values()];
  }

  /** Of how many executions an attempt has come to its end. */
  get endedCount(): number {
    return this.#ended.size;
  }

  /** Whether an attempt of this execution was seen. */
  hasStarted(id: string): boolean {
    return this.#started.has(id);
  }

  /** Reads what is new. */
  async read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readOn());
    await this.#reading;
  }

  /** Waits until an attempt of each execution has come to its end. */
  async ended(ids: readonly string[], timeoutMs: number): Promise<void> {
    await waitFor(
      async () => {
        await this.read();
        return ids.every((id) => this.#ended.has(id));
      },
      { timeoutMs },
    );
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const entries = await this.#redis.xrange(HISTORY_STREAM, `(${this.#last}`, '+', 'COUNT', PAGE);
      for (const [id, fields] of entries) this.#take(Number(id.split('-')[0]), JSON.parse(fields[1]!) as Note);
      if (entries.length > 0) this.#last = entries.at(-1)![0];
      if (entries.length < PAGE) return;
    }
  }

  #take(atMs: number, note: Note): void {
    if (note.kind === 'start') {
      const { kind: _, ...start } = note;
      this.#started.add(start.id);
      this.#byToken.set(note.token, { ...start, startedMs: atMs, endedMs: null });
      return;
    }
    const attempt = this.#byToken.get(note.token)!;
    this.#byToken.set(note.token, { ...attempt, endedMs: atMs });
    this.#ended.add(attempt.id);
  }
}
