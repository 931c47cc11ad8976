/** `docket partitions`: shows the partitions of a docket, or changes their number. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import type { Partition } from '../client/partition.js';
import { changePartitions, PartitionsInUseError } from '../client/repartition.js';
import { takeSnapshot } from '../client/snapshot.js';
import { InvalidOptionError, RedisUnavailableError } from '../core/errors.js';
import { nodeOf } from '../doctor/node.js';
import { hashTagOf } from '../redis/keys.js';
import { MOST_PARTITIONS } from '../redis/schema.js';
import { isClusterUrl } from '../redis/url.js';
import type { Snapshot } from '../tasks/snapshot.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { countText, print, printJson, printTable } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface PartitionsFlags extends CommonFlags {
  readonly force?: boolean;
}

/** One partition, as the command shows it. */
interface PartitionRow {
  /** `null` for one that was removed and is drained. */
  readonly number: number | null;
  readonly tag: string;
  /** The address of the master that has it; `null` without a cluster or Sentinel, and when it cannot be reached. */
  readonly master: string | null;
  /** `null` when its server cannot be reached. */
  readonly totals: Snapshot['totals'] | null;
  /** Why it cannot be reached. */
  readonly problem: string | null;
}

export function partitionsCommand(): Command {
  return new Command('partitions')
    .description(
      'Shows the partitions of the docket, or changes their number. Exits with 1 when one cannot be reached. docs/partitions.md has more.',
    )
    .argument('[number]', `how many partitions the docket has from now on, 1 to ${MOST_PARTITIONS}`)
    .option('--force', 'change the number even if executions that have keys, or hold permits, have not ended')
    .option('--json', 'write JSON')
    .action((number: string | undefined, { force = false, json = false }: PartitionsFlags, command: Command) =>
      withDocket(command, async (docket) => {
        if (number === undefined && force) throw new InvalidOptionError('--force', 'give a number of partitions, too');
        if (number !== undefined) await change(docket, countIn(number), force);
        return await show(docket, json);
      }),
    );
}

/** @throws InvalidOptionError for anything but a number that a docket can have */
function countIn(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST_PARTITIONS) return count;
  throw new InvalidOptionError('number', `expected a whole number from 1 to ${MOST_PARTITIONS}, got '${text}'`);
}

/** @throws CommandError when unfinished work is in the way */
async function change(docket: Docket, count: number, force: boolean): Promise<void> {
  try {
    await changePartitions(internalsOf(docket).partitions, count, { force });
  } catch (error) {
    if (!(error instanceof PartitionsInUseError)) throw error;
    throw new CommandError(`${error.message}: nothing was changed. Wait until such work is done, or pass --force`);
  }
}

/** Returns the exit code: a partition that cannot be reached makes it a failure, after the others were shown. */
async function show(docket: Docket, json: boolean): Promise<number> {
  const { partitions } = internalsOf(docket);
  const all = await partitions.load();
  const { version, tags } = partitions.routes.layout;
  const rows = await Promise.all(all.map((partition, i) => rowOf(partition, i < tags.length ? i : null)));
  const exitCode = rows.some(({ problem }) => problem !== null) ? EXIT.failed : EXIT.done;
  if (json) {
    printJson({ partitions: tags.length, version: version || null, all: rows });
    return exitCode;
  }
  print(countText(tags.length, 'partition'));
  const head = ['partition', 'hash tag', 'queued', 'scheduled', 'waiting', 'running', 'failures'];
  const hasMasters = isClusterUrl(all[0]!.settings.url);
  if (hasMasters) head.push('master');
  printTable(
    head,
    rows.map((row, i) => [...cellsOf(row, all[i]!), ...(hasMasters ? [row.master ?? ''] : [])]),
    'none',
  );
  // The reason is too long for a cell, and its end says most.
  for (const { number, tag, problem } of rows) {
    if (problem !== null)
      print(`${number === null ? `drained partition '${tag}'` : `partition ${number}`} is down: ${problem}`);
  }
  return exitCode;
}

async function rowOf(partition: Partition, number: number | null): Promise<PartitionRow> {
  const { tag } = partition;
  try {
    return await partition.run(async (redis, keys) => {
      const { totals } = await takeSnapshot(redis, keys, 0);
      return { number, tag, master: nodeOf(redis, partition.settings.url) || null, totals, problem: null };
    });
  } catch (error) {
    if (!(error instanceof RedisUnavailableError)) throw error;
    return { number, tag, master: null, totals: null, problem: error.message };
  }
}

function cellsOf({ number, totals }: PartitionRow, { settings }: Partition): (string | number)[] {
  const names = [number ?? 'drained', hashTagOf(settings.keys)];
  if (totals === null) return [...names, 'down', '', '', '', ''];
  const { queued, scheduled, waiting, paused, running, failures } = totals;
  return [...names, queued, scheduled, waiting + paused, running, failures];
}
