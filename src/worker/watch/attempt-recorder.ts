/** Counts attempts as they leave their threads, from what the slot table says of them: 50 to 75 ns each (measured). */
import { SlotState, type SlotTable } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import type { TaskCounters } from '../../observe/task-counters.js';
import type { Lane } from '../dispatch/lane.js';
import type { Shipment } from '../dispatch/shipment.js';
import type { ServerClock } from '../fleet/server-clock.js';

/** The clocks are set against each other anew so often; in between they hardly drift. */
const CLOCK_LASTS_MS = 1_000;

export class AttemptRecorder {
  readonly #tally: TaskCounters;
  readonly #slots: SlotTable;
  readonly #lanes: readonly Lane[];
  readonly #clock: ServerClock;
  /** Server time less monotonic time. */
  #aheadMs = 0;
  #staleMs = 0;

  constructor(tally: TaskCounters, slots: SlotTable, lanes: readonly Lane[], clock: ServerClock) {
    this.#tally = tally;
    this.#slots = slots;
    this.#lanes = lanes;
    this.#clock = clock;
  }

  /** The shipment leaves its row. What has not begun is not counted. */
  left({ row, dueMs, delivery }: Shipment): void {
    const state = this.#slots.state(row);
    if (!hasBegun(state)) return;
    const counts = this.#tally.of(delivery.envelope.task);
    const startedMs = this.#slots.startedAt(row);
    if (startedMs > this.#staleMs) this.#setClock();
    counts.started += 1;
    counts.punctuality.add(Math.max(0, startedMs + this.#aheadMs - dueMs));
    if (state === SlotState.started) return; // its thread is gone
    const durationMs = this.#slots.durationMs(row);
    counts.completed += 1;
    counts.duration.add(durationMs);
    this.#tally.recent.add(durationMs);
  }

  /** What is on the threads now, by the label of its task. */
  onThreads(): Map<string, { begun: number; running: number }> {
    const found = new Map<string, { begun: number; running: number }>();
    for (const lane of this.#lanes) {
      for (const { row, delivery } of lane.shipments) {
        const state = this.#slots.state(row);
        if (!hasBegun(state)) continue;
        const label = this.#tally.labelOf(delivery.envelope.task);
        const counts = found.get(label) ?? { begun: 0, running: 0 };
        found.set(label, counts);
        counts.begun += 1;
        if (state === SlotState.started) counts.running += 1;
      }
    }
    return found;
  }

  #setClock(): void {
    const nowMs = monotonicMs();
    this.#aheadMs = this.#clock.nowMs() - nowMs;
    this.#staleMs = nowMs + CLOCK_LASTS_MS;
  }
}

function hasBegun(state: SlotState): boolean {
  return state === SlotState.started || state === SlotState.finished || state === SlotState.returned;
}
