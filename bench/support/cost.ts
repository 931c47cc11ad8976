/** What a run cost besides time: commands, round trips and CPU of Redis, and the CPU of the worker, all read from outside. */
import { readdirSync, readFileSync } from 'node:fs';
import type { AdminConnection } from './redis-server.js';

/**
 * A reading of counters that only grow. The difference of two readings is a cost. What the bench itself sent is not in it:
 * how often it asks depends on how long a run takes.
 */
export interface CostReading {
  readonly redisCpuUs: number;
  readonly commands: number;
  readonly trips: number;
  readonly bytes: number;
  readonly processCpuUs: number | null;
  readonly mainThreadCpuUs: number | null;
}

/** The cost of a task, from two readings. The CPU times of the worker are `null` where there is no /proc. */
export interface CostPerTask {
  readonly redisCpuUs: number;
  /** Commands that Redis executed, including those inside scripts and transactions. */
  readonly commands: number;
  /** Upper bound of the round trips: socket reads by Redis, several for a long request. */
  readonly trips: number;
  /** Bytes that Redis received from clients and sent to them. */
  readonly bytes: number;
  readonly processCpuUs: number | null;
  /** The main thread alone: docket's coordinator, or BullMQ's only thread. */
  readonly mainThreadCpuUs: number | null;
}

/** Reads all counters at once; costs Redis well under a millisecond. */
export async function readCost(admin: AdminConnection, pid: number): Promise<CostReading> {
  const { commandsSent, tripsMade, bytesMoved } = admin;
  const replies = await admin.pipeline().info('cpu').info('commandstats').info('stats').exec();
  const [cpu, commandStats, stats] = (replies ?? []).map(([, text]) => String(text)) as [string, string, string];
  const seconds = field(cpu, 'used_cpu_user') + field(cpu, 'used_cpu_sys');
  const calls = [...commandStats.matchAll(/calls=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  return {
    redisCpuUs: seconds * 1e6,
    commands: calls - commandsSent,
    trips: field(stats, 'total_reads_processed') - tripsMade,
    bytes: field(stats, 'total_net_input_bytes') + field(stats, 'total_net_output_bytes') - bytesMoved,
    ...readProcess(pid),
  };
}

export function costPerTask(from: CostReading, to: CostReading, tasks: number): CostPerTask {
  const between = (name: keyof CostReading) => {
    const [start, end] = [from[name], to[name]];
    return start === null || end === null ? null : (end - start) / tasks;
  };
  return {
    redisCpuUs: between('redisCpuUs')!,
    commands: between('commands')!,
    trips: between('trips')!,
    bytes: between('bytes')!,
    processCpuUs: between('processCpuUs'),
    mainThreadCpuUs: between('mainThreadCpuUs'),
  };
}

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
}

/** Reads schedstat, which counts the nanoseconds each thread ran, so the busy process itself is not asked. Linux only. */
export function readProcess(pid: number): Pick<CostReading, 'processCpuUs' | 'mainThreadCpuUs'> {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const ranUs = (thread: string) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e3;
    return {
      processCpuUs: threads.reduce((sum, thread) => sum + ranUs(thread), 0),
      mainThreadCpuUs: ranUs(String(pid)),
    };
  } catch {
    return { processCpuUs: null, mainThreadCpuUs: null };
  }
}
