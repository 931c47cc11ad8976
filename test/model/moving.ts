/** What workers do with an execution that belongs in the other partition: they move it there, in three steps. */
import { moveStore, producers, strikes } from './built.js';
import type { Copy, Part, PartitionModel } from './model.js';
import { cancelArriving } from './producing.js';
import { type Call, expectReply, type Hand, type Worker, type World } from './world.js';

/** Reads an execution that belongs in the other partition. */
export function depart(world: World, part: Part, worker: Worker, hand: Hand): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { token, record, envelope } = hand.delivery;
  return {
    name: `${worker.name} begins to move ${hand.n} from ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      const key = record ?? envelope.id!;
      const read = await moveStore.readDeparting(world.redis, world.keys[part], {
        token,
        key,
        from: world.tag(part),
        to: world.tag(to),
      });
      const isOurs = copy !== undefined && !copy.isSuperseded && !copy.isCancelled;
      expectReply(read !== null, isOurs, `whether ${hand.n} departs`);
      if (!read || !isOurs) return;
      hand.departing = { read, copy: { ...copy }, untilMs: world.nowMs + 5 * 60_000 };
      if (!copy.isLean) copy.departing = { to: world.tag(to), name: read.move, generation: String(copy.generation) };
    },
  };
}

/** Places an execution that departs where it belongs. */
export function arrive(
  world: World,
  part: Part,
  worker: Worker,
  { hand, departing }: { readonly hand: Hand; readonly departing: NonNullable<Hand['departing']> },
): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { read, copy, untilMs } = departing;
  return {
    name: `${worker.name} moves ${hand.n} to ${to}`,
    send: async () => {
      const model = world.model(to);
      const expected = expectedArrival(world, model, departing);
      const version = await strikes.strikesVersion(world.redis, world.keys[to]);
      const arrival = await moveStore.place(world.redis, world.keys[to], read, { untilMs, strikes: version });
      expectReply(arrival, expected, `arrival of ${hand.n}`);
      if (arrival !== 'placed') return;
      model.arrivals.set(read.move, 'placed');
      const moves = copy.moves + 1;
      const fresh = {
        isAlone: false,
        isExpired: false,
        holdsPermits: false,
        cameWithPermits: false,
        isBooked: false,
        stage: stageElsewhere(copy.stage),
        isRemembered: false,
        departing: null,
        token: null,
      };
      model.add({ ...copy, ...fresh, part: to, place: { kind: 'ready' }, moves });
    },
  };
}

/** Its places at limits stay where it was; what counts submissions has counted it. */
function stageElsewhere(stage: Copy['stage']): Copy['stage'] {
  return stage === 'attempt-admitted' || stage === 'submission-admitted' ? 'submission-admitted' : 'new';
}

function expectedArrival(
  world: World,
  model: PartitionModel,
  { read, copy, untilMs }: NonNullable<Hand['departing']>,
): string {
  const arrival = model.arrivals.get(read.move);
  if (arrival) return arrival === 'stopped' ? 'stopped' : 'before';
  if (world.nowMs > untilMs) return 'late';
  const there = copy.isLean ? undefined : model.records.get(copy.key);
  if (!there) return 'placed';
  const isAlive = there.place.kind !== 'gone';
  if (there.generation === copy.generation) return isAlive ? 'leaving' : 'before';
  if (!isAlive) return 'placed';
  return world.nowMs < copy.replacingUntilMs ? 'leaving' : 'taken';
}

/** Removes an execution that has arrived from where it was. */
export function removeDeparted(world: World, part: Part, worker: Worker, hand: Hand): Call {
  const { token } = hand.delivery;
  return {
    name: `${worker.name} removes ${hand.n}, which was moved, from ${part}`,
    send: async () => {
      const model = world.model(part);
      const copy = model.owner(token);
      const expected = !copy ? 'gone' : copy.isLean && copy.isRemembered ? 'cancelled' : 'removed';
      const departure = await moveStore.removeDeparted(world.redis, world.keys[part], token);
      expectReply(departure, expected, `departure of ${hand.n}`);
      if (departure !== 'cancelled') worker.hands = worker.hands.filter((one) => one.delivery.token !== token);
      if (departure === 'removed') model.end(copy!, 'moved');
    },
  };
}

/** Cancels where it has arrived what was cancelled here; the worker then ends it here, too. */
export function cancelArrived(
  world: World,
  part: Part,
  worker: Worker,
  { hand, departing }: { readonly hand: Hand; readonly departing: NonNullable<Hand['departing']> },
): Call {
  const to: Part = part === 0 ? 1 : 0;
  const { key } = departing.copy;
  const move = { to: world.tag(to), name: departing.read.move, generation: '' };
  return {
    name: `${worker.name} cancels ${hand.n} in ${to}`,
    send: async () => {
      const expected = cancelArriving(world, key, move);
      const reply = await producers.cancel(world.redis, world.keys[to], { key, move });
      expectReply(reply?.outcome, expected, `cancel of ${hand.n}, which was moved`);
    },
  };
}
