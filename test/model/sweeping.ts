/** What runs in the background for all: the schedule, leases that run out, sweeps. */
import { deliveries, pauses, schedules, schema, script, sweeps } from './built.js';
import { isInHand, type Part } from './model.js';
import { serveLine } from './producing.js';
import { type Call, expectReply, type Worker, type World } from './world.js';

/** Leases go by the real clock, and run out only when a sequence says so. */
const LEASE_MS = 1e9;
const WEEK_MS = 7 * 24 * 60 * 60 * 1_000;

/** Time passes. */
export function pass(world: World, ms: number): Call {
  return {
    name: `${ms} ms pass`,
    send: async () => world.advance(ms),
  };
}

/** A week passes: the docket forgets which entries were superseded, and which ids were cancelled. */
export function passWeek(world: World): Call {
  return {
    name: 'more than a week passes',
    send: async () => {
      world.advance(WEEK_MS + 60_000);
      for (const model of world.models) {
        model.superseded.clear();
        for (const copy of model.alive) copy.isRemembered = false;
        const { superseded, cancelled } = world.keys[model.part];
        await world.redis.del(superseded, cancelled);
      }
    },
  };
}

/** Moves what is due, and serves a line that was left to a scheduler. */
export function moveDue(world: World, part: Part): Call {
  return {
    name: `move what is due in ${part}`,
    send: async () => {
      const model = world.model(part);
      const due = model.alive.filter(({ place }) => place.kind === 'scheduled' && place.atMs <= world.nowMs);
      const [line] = [...model.wakes].sort();
      const { count, errors } = await schedules.moveDue(world.redis, world.keys[part]);
      expectReply({ count, errors }, { count: due.length, errors: [] }, 'move-due');
      for (const copy of due) model.move(copy, { kind: 'ready' });
      if (line === undefined) return;
      model.wakes.delete(line);
      serveLine(model, line);
    },
  };
}

/** Makes an execution on the schedule due. */
export function runNow(world: World, part: Part, key: string): Call {
  return {
    name: `run ${key} of ${part} now`,
    send: async () => {
      const model = world.model(part);
      const keys = world.keys[part];
      const copy = model.alive.find((one) => one.key === key && one.place.kind === 'scheduled' && model.isCurrent(one));
      const reply = await script.runScript(
        world.redis,
        'run-now',
        [keys.work, keys.front, keys.schedule],
        [keys.prefix, key],
      );
      expectReply(reply, copy ? 1 : 0, `run ${key} now`);
      if (!copy) return;
      copy.place = { kind: 'scheduled', atMs: world.nowMs };
      copy.dueMs = Math.min(copy.dueMs, world.nowMs);
    },
  };
}

/** A worker stands still until all of its leases have run out. */
export function stall(world: World, worker: Worker): Call {
  return {
    name: `the leases of ${worker.name} run out`,
    send: async () => {
      for (const model of world.models) {
        for (const copy of model.alive) {
          if (!isInHand(copy) || (copy.place as { worker: string }).worker !== worker.name || !copy.token) continue;
          const stream = schema.STREAM_KEYS[copy.token.slice(0, 1)]!;
          const { prefix } = world.keys[model.part];
          await world.redis.xclaim(
            `${prefix}${stream}`,
            schema.GROUP,
            worker.name,
            0,
            copy.token.slice(1),
            'IDLE',
            2 * LEASE_MS,
            'JUSTID',
          );
          copy.isExpired = true;
        }
      }
    },
  };
}

/** A sweeper looks for leases that have run out. It may act on what it has found much later. */
export function findExpired(world: World, part: Part, sweeper: number): Call {
  return {
    name: `sweeper ${sweeper} looks for leases that have run out in ${part}`,
    send: async () => {
      const expired = world.model(part).alive.filter(({ isExpired }) => isExpired);
      const found = world.found[2 * sweeper + part]!;
      found.length = 0;
      for (const stream of schema.STREAM_NAMES) {
        const page = await sweeps.findExpired(world.redis, world.keys[part], {
          stream,
          leaseMs: LEASE_MS,
          from: sweeps.FIRST_PAGE,
        });
        found.push(...page.expired.map(({ token }) => token));
      }
      expectReply([...found].sort(), expired.map(({ token }) => token).sort(), 'find-expired');
    },
  };
}

/** A sweeper redelivers what it has found. */
export function redeliver(world: World, part: Part, sweeper: number): Call {
  const tokens = [...world.found[2 * sweeper + part]!];
  return {
    name: `sweeper ${sweeper} redelivers ${tokens.join(' ')} in ${part}`,
    send: async () => {
      if (tokens.length === 0) return;
      const model = world.model(part);
      let redelivered = 0;
      for (const token of tokens) {
        const copy = model.owner(token);
        if (!copy?.isExpired) continue;
        if (copy.isSuperseded) model.end(copy, 'replaced');
        else if (copy.isCancelled) model.end(copy, 'cancelled');
        else {
          copy.charges += copy.isAlone ? 1 : 0;
          copy.deliveries += 1;
          redelivered += 1;
          const wasRunning = copy.place.kind === 'running';
          if (wasRunning || copy.isLean) copy.stage = 'attempt-admitted';
          if (copy.isBooked && copy.isLean) copy.isBooked = null;
          else if (wasRunning) copy.isBooked = false;
          model.move(copy, { kind: 'ready' });
        }
      }
      expectReply(
        await deliveries.redeliver(world.redis, world.keys[part], LEASE_MS, tokens),
        redelivered,
        'redeliver',
      );
    },
  };
}

/** Sweeps find nothing wrong: whatever happened, permits are counted as they are held, and everything has its place. */
export function sweep(world: World, part: Part): Call {
  return {
    name: `sweep ${part}, twice`,
    send: async () => {
      const { redis } = world;
      const keys = world.keys[part];
      await redis.del(keys.sweeper);
      const [first, second] = await Promise.all(
        [0, 1].map(() => sweeps.beginSweep(redis, keys, { pauseMs: 60_000, cursor: '0' })),
      );
      expectReply([first?.nowMs, second], [world.nowMs, null], 'two sweeps at once');
      const { known, unknown } = await sweeps.mendLost(redis, keys);
      expectReply({ known, unknown }, { known: 0, unknown: 0 }, 'find-lost');
      const model = world.model(part);
      const lines = model.alive.flatMap(({ place }) => (place.kind === 'waiting' ? [place.line] : []));
      for (const line of lines) {
        const task = line.startsWith(schema.PAUSE.task) ? line.slice(1) : null;
        if (
          task !== null &&
          !model.pausedTasks.has(task) &&
          (await redis.zscore(keys.wakes, pauses.lineOf(task))) !== null
        )
          model.wakes.add(line);
      }
    },
  };
}
