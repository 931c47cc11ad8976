/** What the coordinator does for each delivery beside Redis: batches, the slot table, and dispatch to threads. */
import { decodeChunk, type OutcomeBatch, OutcomeCollector } from '../../src/channel/protocol.js';
import { SlotTable, shipmentIdOf } from '../../src/channel/slots.js';
import { Batcher } from '../../src/core/batcher.js';
import { encoderFor } from '../../src/wire/codec.js';
import { encodeEnvelope } from '../../src/wire/envelope.js';
import { type Delivery, type DeliveryPipeline, deliveryOf } from '../../src/worker/delivery.js';
import { Dispatcher, type DispatcherEvents } from '../../src/worker/dispatch/dispatcher.js';
import type { Thread } from '../../src/worker/threads/thread.js';
import { ARGUMENTS, type Micro } from './micro.js';

const ITEMS = 1_000;

export const COORDINATOR: readonly Micro[] = [batches(), slotTable(), dispatch()];

function batches(): Micro {
  const limits = { maxItems: 256, maxBytes: Number.POSITIVE_INFINITY, sizeOf: () => 1, maxInFlight: 2 };
  const batcher = new Batcher<number>(async () => {}, limits);
  return {
    name: 'batcher: push and send, in batches of 256',
    items: ITEMS,
    run: async () => {
      for (let i = 0; i < ITEMS; i++) batcher.push(i);
      await batcher.idle();
    },
  };
}

function slotTable(): Micro {
  const table = new SlotTable(ITEMS);
  return {
    name: 'slot table: ship, begin, end, free',
    items: ITEMS,
    run: () => {
      for (let row = 0; row < ITEMS; row++) {
        const epoch = table.ship(row);
        table.begin(row, epoch, 1);
        table.end(row, epoch, 2, true);
        table.free(row);
      }
    },
  };
}

/** The threads are stand-ins in the same thread, so that only the coordinator's side and the format of chunks count. */
function dispatch(): Micro {
  const onAllEnded = { resolve: () => {} };
  let left = 0;
  const ignore = () => {};
  const events: DispatcherEvents = {
    onOutcome: () => {
      left -= 1;
      if (left === 0) onAllEnded.resolve();
    },
    onThreadLost: ignore,
    onThreadEndedFor: ignore,
    onSuspectShipped: ignore,
    onSuspectMustWait: ignore,
    onLostThreadRelieved: ignore,
    onSuspectNotAlone: ignore,
    markAlone: async () => true,
    unmarkAlone: async () => {},
    onRequeue: ignore,
    onCapacity: ignore,
    onThreadSpent: ignore,
    onThreadOccupied: ignore,
    onThreadNeeded: ignore,
    onProgressMessage: ignore,
    onLeavingRow: ignore,
  };
  const dispatcher = new Dispatcher(2, ITEMS, events);
  for (const lane of dispatcher.lanes) dispatcher.attach(lane, standIn(dispatcher.slots));
  const deliveries = Array.from({ length: ITEMS }, (_, i) => deliveryNumber(i));
  return {
    name: 'dispatch: add, ship in chunks, receive the outcomes',
    items: ITEMS,
    run: async () => {
      left = ITEMS;
      const ended = new Promise<void>((resolve) => {
        onAllEnded.resolve = resolve;
      });
      dispatcher.add(deliveries);
      await ended;
    },
  };
}

/** Runs every item of a chunk at once, as a no-op. */
function standIn(slots: SlotTable): Thread {
  return {
    manifest: { tasks: [], fallback: null },
    isEnforceable: true,
    exited: new Promise(() => {}),
    async run(chunk): Promise<OutcomeBatch> {
      const outcomes = new OutcomeCollector();
      for (const { row, epoch } of decodeChunk(chunk)) {
        if (!slots.begin(row, epoch, 1)) continue;
        slots.end(row, epoch, 1.01, true);
        outcomes.add(shipmentIdOf(row, epoch), { kind: 'completed', result: null });
      }
      return outcomes.take();
    },
    attend: () => 0,
    hasAttended: () => true,
    notifyFailure: async () => {},
    terminate: async () => {},
  };
}

function deliveryNumber(index: number): Delivery {
  const message = encodeEnvelope(encoderFor(ARGUMENTS, 'args'), 'noop', 0, `id-${index}`, ARGUMENTS);
  const counts = { dueMs: 1, deliveries: 0, charges: 0, reroutes: 0 };
  const flags = { holdsPermits: false, hasBooking: false };
  return deliveryOf(
    { token: `w${index}-0`, record: null, message, admissionStage: 'new', ...counts, ...flags },
    () => ({}),
    { tag: '' } as DeliveryPipeline, // the events above take what comes back
  );
}
