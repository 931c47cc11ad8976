import { ClientSession, createRedisCommandExecutor, encodeRedisResult, RedisServerState } from 'js-redis-server/core';
import { describe, expect, test } from 'vitest';
import { keepDataInPlace } from '../../../src/redis/embedded-data.js';
import { shortcutPolicy } from '../../../src/redis/embedded-shortcuts.js';
import { SORTED_SET_SHORTCUTS } from '../../../src/redis/embedded-sorted-sets.js';
import { STREAM_SHORTCUTS } from '../../../src/redis/embedded-streams.js';

type Encodable = Parameters<typeof encodeRedisResult>[0];

/** A server as its package made it, or as docket runs it. `taken` counts the shortcuts. */
function server(isOurs: boolean) {
  const state = new RedisServerState({ activeExpiryIntervalMs: false });
  if (isOurs) keepDataInPlace(state);
  const taken = new Set<string>();
  const policy = shortcutPolicy({ ...SORTED_SET_SHORTCUTS, ...STREAM_SHORTCUTS });
  const counting = {
    name: policy.name,
    beforeExecute(...[plan, ctx]: Parameters<NonNullable<typeof policy.beforeExecute>>) {
      const reply = policy.beforeExecute?.(plan, ctx);
      if (reply !== undefined) taken.add(plan.definition.name);
      return reply;
    },
  };
  const executor = createRedisCommandExecutor({ policies: isOurs ? [counting] : [] });
  const session = new ClientSession({ server: state, executor });
  const run = async (line: string) => {
    const [command, ...args] = line.split(' ');
    const reply = await session.execute(
      command!,
      args.map((arg) => Buffer.from(arg)),
    );
    return encodeRedisResult(reply as Encodable).toString();
  };
  return { state, session, run, taken };
}

/** Numbers below a bound, the same in each run. */
function numbers(): (bound: number) => number {
  let seed = 7;
  return (bound) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % bound;
  };
}

async function expectSameReplies(lines: readonly string[]): Promise<Set<string>> {
  const [ours, theirs] = [server(true), server(false)];
  for (const line of lines) expect(`${line}: ${await ours.run(line)}`).toBe(`${line}: ${await theirs.run(line)}`);
  return ours.taken;
}

describe('an embedded server that keeps its data in place', () => {
  test('has the parts that are replaced', () => {
    expect(keepDataInPlace(new RedisServerState())).toBe(true);
  });

  test('is left alone when it has other parts', () => {
    const state = new RedisServerState();
    Object.assign(state.databases[0]!, { keyspace: {} });
    const { mutations } = state.databases[0]!;
    expect(keepDataInPlace(state)).toBe(false);
    expect(state.databases[0]!.mutations).toBe(mutations);
  });

  test.each(['XADD key 1-1 f v', 'ZADD key 1 m', 'HSET key f v'])('reads what %s made without a copy', async (line) => {
    const { state, run } = server(true);
    await run(line);
    const [database] = state.databases;
    expect(database!.get(Buffer.from('key'))).toBe(database!.get(Buffer.from('key')));
  });

  test('tells of a change without a copy', async () => {
    const { state, run } = server(true);
    const [database] = state.databases;
    const told: unknown[] = [];
    const key = Buffer.from('key');
    const end = database!.subscribeKey(key, (event) => told.push(event.type === 'write' && event.value));
    await run('XADD key 1-1 f v');
    await run('XADD other 1-1 f v');
    end();
    await run('XADD key 2-1 f v');
    expect(told).toEqual([database!.getStream(key)]);
    expect(told[0]).toBe(database!.getStream(key));
  });

  test('still publishes keyspace notifications when they are asked for', async () => {
    const { state, run } = server(true);
    const heard: string[] = [];
    state.pubsubBroker.subscribe(Buffer.from('__keyevent@0__:xdel'), ({ message }) => heard.push(message.toString()));
    await run('CONFIG SET notify-keyspace-events KEA');
    await run('XADD key 1-1 f v');
    await run('XDEL key 1-1');
    expect(heard).toEqual(['key']);
  });

  test('answers for sorted sets as the server alone does', async () => {
    const next = numbers();
    const lines: string[] = [];
    const rank = () => next(24) - 12;
    const score = () => ['-inf', '+inf', `${next(20)}`, `(${next(20)}`, `${next(20)}.5`, 'x'][next(6)]!;
    for (let i = 0; i < 1_500; i++) {
      const member = `m${next(30)}`;
      const rev = next(2) ? ' REV' : '';
      const limit = next(2) ? ` LIMIT ${next(5) - 1} ${next(6) - 1}` : '';
      const scores = next(2) ? ' WITHSCORES' : '';
      lines.push(
        `ZADD set ${next(20)} ${member}`,
        [
          `ZREM set m${next(30)}`,
          `ZRANGE set ${rank()} ${rank()}${rev}${scores}`,
          `ZRANGE set ${score()} ${score()} BYSCORE${rev}${limit}${scores}`,
          `ZRANGE set - + BYLEX${limit}`,
          `ZREVRANGE set ${rank()} ${rank()}${scores}`,
          `ZCOUNT set ${score()} ${score()}`,
          `ZREVRANK set ${member}`,
          `ZREVRANK set ${member} WITHSCORE`,
          `ZREMRANGEBYRANK set ${rank()} ${next(4) - 8}`,
          `ZINCRBY set ${next(5)} ${member}`,
          'ZRANGE none 0 -1',
          'ZCARD set',
        ][next(12)]!,
      );
    }
    const ways = [
      'ZADD set 1 a 1 b',
      'RENAME set other',
      'ZADD other 0 c',
      'ZRANGE other 0 -1',
      'ZUNIONSTORE other 2 other other',
    ];
    lines.push(
      ...ways,
      'ZRANGE other 0 -1 WITHSCORES',
      'ZREMRANGEBYRANK other 0 -1',
      'EXISTS other',
      'SET text t',
      'ZCOUNT text 0 1',
      'ZCOUNT text 0 x',
      'ZRANGE text 0 x',
      'ZRANGE text 0 x BYSCORE',
      ...['0x1', '1.0', '1e0', '', '99999999999999999999'].map((rank) => `ZRANGE set 0 ${rank}`),
    );
    expect([...(await expectSameReplies(lines))].sort()).toEqual(Object.keys(SORTED_SET_SHORTCUTS).sort());
  });

  test('answers for streams as the server alone does', async () => {
    const next = numbers();
    const lines: string[] = ['XGROUP CREATE stream group 0 MKSTREAM'];
    const id = () => `${next(600)}-${next(3)}`;
    for (let i = 1; i < 600; i++) {
      lines.push(
        `XADD stream ${i}-${1 + next(2)} f ${i}`,
        [
          `XDEL stream ${id()} ${id()} ${id()}`,
          `XDEL stream ${i}-1 ${i}-1 x`,
          `XRANGE stream ${i}-1 ${i}-1`,
          `XRANGE stream ${id()} ${id()}`,
          `XRANGE stream ${id()} + COUNT 2`,
          `XRANGE stream ${i - 5} ${i} COUNT 2`,
          `XRANGE stream (${i - 5}-1 ${i}-1`,
          `XRANGE stream ${i - 4}-1 ${i}-1 COUNT 2`,
        ][next(8)]!,
      );
    }
    lines.push(
      'XINFO STREAM stream',
      'XRANGE stream - +',
      'XRANGE none 1-1 2-1',
      'XDEL none 1-1',
      'SET text t',
      'XDEL text 1-1',
    );
    expect([...(await expectSameReplies(lines))].sort()).toEqual(Object.keys(STREAM_SHORTCUTS).sort());
  });

  test('queues a command within MULTI, and runs it with EXEC', async () => {
    await expectSameReplies(['ZADD set 1 a', 'MULTI', 'ZCOUNT set 0 1', 'XDEL set 1-1', 'EXEC']);
  });
});
