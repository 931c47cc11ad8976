/**
 * Looks into all partitions of a docket as if they were one. Tests ask for keys of partition 0; this asks each partition for
 * its key of that name, and puts the answers together.
 *
 * A command without a rule here fails: a test that sends one is about a single partition, and is listed among those that
 * `vitest.scale.config.ts` leaves out.
 */

import { Redis } from 'ioredis';

/** A connection to the master of a partition, and what the names of its keys begin with. */
export interface PartitionKeys {
  readonly redis: Redis;
  readonly prefix: string;
}

type Merge = (answers: readonly unknown[]) => unknown;

const sum: Merge = (answers) => answers.reduce<number>((total, answer) => total + Number(answer), 0);
const all: Merge = (answers) => answers.flat();
const merged: Merge = (answers) => Object.assign({}, ...answers);
/** The answer of the partition that has it. */
const present: Merge = (answers) => answers.find((answer) => answer !== null) ?? null;
/** `-2` stands for a key that is not there. */
const presentTtl: Merge = (answers) => answers.find((answer) => Number(answer) !== -2) ?? -2;
const greatest: Merge = (answers) => Math.max(...answers.map(Number));
const presentEach: Merge = (answers) => {
  const rows = answers as unknown[][];
  return rows[0]!.map((_, i) => present(rows.map((row) => row[i])));
};

/** Commands that look, and those that take away: all partitions are asked. */
const EVERYWHERE: Readonly<Record<string, Merge>> = {
  del: sum,
  exists: sum,
  get: present,
  hexists: greatest,
  hget: present,
  hgetBuffer: present,
  hgetall: merged,
  hgetallBuffer: merged,
  hlen: sum,
  keys: all,
  pttl: presentTtl,
  publish: sum,
  smembers: all,
  xdel: sum,
  xlen: sum,
  xrange: all,
  xrangeBuffer: all,
  xrevrange: all,
  zcard: sum,
  zcount: sum,
  zmscore: presentEach,
  zrange: all,
  zrevrange: all,
  zrem: sum,
  zscore: present,
};

/** Commands that change a key: only the partition that has it is asked, or partition 0 if none has. */
const WHERE_IT_IS: ReadonlySet<string> = new Set(['hdel', 'hset', 'pexpire', 'rename', 'set']);

/** All others. */
const COMMANDS: ReadonlySet<string> = new Set(new Redis({ lazyConnect: true }).getBuiltinCommands());

/** Commands about the server: each is asked once. The answer is that of the first. */
const EACH_SERVER: ReadonlySet<string> = new Set(['call', 'config', 'info', 'script', 'time']);

/** A connection that asks all partitions for what is asked of the first. */
export function allPartitions(partitions: readonly PartitionKeys[]): Redis {
  const first = partitions[0]!;
  const own = ({ prefix }: PartitionKeys, argument: unknown) =>
    typeof argument === 'string' && argument.startsWith(first.prefix)
      ? prefix + argument.slice(first.prefix.length)
      : argument;
  const ownKeyOfFirst = ({ prefix }: PartitionKeys, key: unknown) =>
    typeof key === 'string' && key.startsWith(prefix) ? first.prefix + key.slice(prefix.length) : key;
  const ask = (partition: PartitionKeys, command: string, args: readonly unknown[]): Promise<unknown> =>
    methodOf(partition.redis, command)(...args.map((argument) => own(partition, argument)));

  const everywhere = async (command: string, args: readonly unknown[]) => {
    const answers = await Promise.all(partitions.map((partition) => ask(partition, command, args)));
    if (command !== 'keys') return EVERYWHERE[command]!(answers);
    return answers.flatMap((keys, i) => (keys as string[]).map((key) => ownKeyOfFirst(partitions[i]!, key)));
  };

  const servers = [...new Set(partitions.map(({ redis }) => redis))];
  const eachServer = async (command: string, args: readonly unknown[]) => {
    const [answer] = await Promise.all(servers.map((server) => methodOf(server, command)(...args)));
    return answer;
  };

  const whereItIs = async (command: string, args: readonly unknown[]) => {
    const exist = await Promise.all(partitions.map((partition) => ask(partition, 'exists', [args[0]])));
    const place = exist.findIndex((count) => Number(count) > 0);
    return await ask(partitions[Math.max(place, 0)]!, command, args);
  };

  /** Sends the commands to each partition in one piece. */
  const together = (kind: 'multi' | 'pipeline') => {
    const calls: { readonly command: string; readonly args: readonly unknown[] }[] = [];
    const exec = async () => {
      const answers = await Promise.all(
        partitions.map(async (partition) => {
          const asked = partition.redis[kind]();
          for (const { command, args } of calls) {
            methodOf(asked, command)(...args.map((argument) => own(partition, argument)));
          }
          return (await asked.exec())!;
        }),
      );
      return calls.map(({ command }, i) => {
        const error = answers.map((rows) => rows[i]![0]).find((one) => one !== null);
        return error ? [error, null] : [null, EVERYWHERE[command]!(answers.map((rows) => rows[i]![1]))];
      });
    };
    const asked: object = new Proxy(
      { exec },
      {
        get(target, command) {
          if (command === 'exec') return target.exec;
          const name = String(command);
          if (!Object.hasOwn(EVERYWHERE, name)) throw new Error(noRule(name));
          return (...args: unknown[]) => {
            calls.push({ command: name, args });
            return asked;
          };
        },
      },
    );
    return asked;
  };

  return new Proxy(first.redis, {
    get(target, property) {
      const name = String(property);
      if (Object.hasOwn(EVERYWHERE, name)) return (...args: unknown[]) => everywhere(name, args);
      if (WHERE_IT_IS.has(name)) return (...args: unknown[]) => whereItIs(name, args);
      if (name === 'multi' || name === 'pipeline') return () => together(name);
      if (EACH_SERVER.has(name)) return (...args: unknown[]) => eachServer(name, args);
      const value = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return COMMANDS.has(name) ? () => Promise.reject(new Error(noRule(name))) : value.bind(target);
    },
  });
}

function methodOf(target: object, name: string): (...args: unknown[]) => Promise<unknown> {
  return Reflect.get(target, name).bind(target);
}

function noRule(command: string): string {
  return `'${command}' has no rule for several partitions: see test/support/all-partitions.ts`;
}
