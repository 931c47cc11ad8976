/**
 * Checks what the user may do by trying it: every kind of command that docket sends, on keys and a channel of the docket that
 * nothing else uses. The keys are removed afterwards. ACL itself is not asked, because few users may use it.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { Keys } from '../redis/keys.js';
import { isForbidden, isRefusal, isScriptUnknown, meaningOf } from '../redis/reply-errors.js';
import { hasShardChannels } from '../redis/shard-channels.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** A command that is tried, with its arguments. */
type Trial = readonly string[];

/** Tries all commands, kind by kind. */
export async function checkPermissions(redis: Redis, docket: DocketSettings): Promise<Finding[]> {
  const { keys } = docket;
  const key = keys.user(`doctor:${randomBytes(6).toString('hex')}`);
  const kinds = kindsOf(key, [hasShardChannels(redis) ? 'SPUBLISH' : 'PUBLISH', keys.events('doctor'), 'doctor']);
  const findings: Finding[] = [];
  const refusal = await findRefusal(redis, `${key}:k`);
  if (refusal) return [refusal]; // it says nothing about the user
  try {
    for (const [check, trials] of Object.entries(kinds)) {
      findings.push(await checkKind(check, trials, keys, (trial) => redis.call(...(trial as [string, ...string[]]))));
    }
  } finally {
    const used = ['h', 'z', 's', 'k', 'm'].map((suffix) => `${key}:${suffix}`);
    await Promise.all(used.map((one) => redis.del(one).catch(() => 0)));
  }
  return [...findings, await checkSubscribe(docket), await checkOptional(redis)];
}

/** Finds out whether the server refuses all writes at the moment, whoever sends them. */
async function findRefusal(redis: Redis, key: string): Promise<Finding | null> {
  const error = await redis.set(key, '1', 'PX', LIFE_MS).then(
    () => null,
    (error: Error) => error,
  );
  if (!error || !isRefusal(error)) return null;
  const { problem, advice } = meaningOf(error) ?? { problem: error.message, advice: 'wait until it takes writes' };
  return fail('writes', `${problem}, so the permissions are not checked`, advice);
}

function kindsOf(key: string, publish: Trial): Record<string, readonly Trial[]> {
  const [hash, zset, stream, text, set] = ['h', 'z', 's', 'k', 'm'].map((suffix) => `${key}:${suffix}`) as Five;
  return {
    'may use keys': [
      ['SET', text, '1', 'PX', LIFE_MS],
      ['GET', text],
      ['EXISTS', text],
      ['PEXPIRE', text, LIFE_MS],
      ['PTTL', text],
      ['TYPE', text],
      ['SADD', set, 'a'],
      ['SREM', set, 'a'],
      ['DEL', text],
    ],
    'may use hashes': [
      ['HSET', hash, 'f', '1'],
      ['PEXPIRE', hash, LIFE_MS],
      ['HGET', hash, 'f'],
      ['HMGET', hash, 'f'],
      ['HGETALL', hash],
      ['HKEYS', hash],
      ['HLEN', hash],
      ['HEXISTS', hash, 'f'],
      ['HSCAN', hash, '0'],
      ['HDEL', hash, 'f'],
    ],
    'may use sorted sets': [
      ['ZADD', zset, '1', 'a'],
      ['PEXPIRE', zset, LIFE_MS],
      ['ZCARD', zset],
      ['ZCOUNT', zset, '0', '1'],
      ['ZSCORE', zset, 'a'],
      ['ZRANGE', zset, '0', '-1'],
      ['ZRANGEBYSCORE', zset, '0', '1'],
      ['ZREVRANGE', zset, '0', '-1'],
      ['ZRANK', zset, 'a'],
      ['ZREVRANK', zset, 'a'],
      ['ZRANDMEMBER', zset],
      ['ZSCAN', zset, '0'],
      ['ZREMRANGEBYRANK', zset, '5', '6'],
      ['ZREM', zset, 'a'],
    ],
    'may use streams': [
      ['XGROUP', 'CREATE', stream, 'g', '0', 'MKSTREAM'],
      ['PEXPIRE', stream, LIFE_MS],
      ['XADD', stream, '1-1', 'f', '1'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1', 'STREAMS', stream, '>'],
      ['XLEN', stream],
      ['XRANGE', stream, '-', '+'],
      ['XREVRANGE', stream, '+', '-'],
      ['XPENDING', stream, 'g'],
      ['XCLAIM', stream, 'g', 'c', '0', '1-1', 'JUSTID'],
      ['XINFO', 'STREAM', stream],
      ['XINFO', 'GROUPS', stream],
      ['XINFO', 'CONSUMERS', stream, 'g'],
      ['XACK', stream, 'g', '1-1'],
      ['XDEL', stream, '1-1'],
      ['XTRIM', stream, 'MINID', '1-1'],
      ['XGROUP', 'DELCONSUMER', stream, 'g', 'c'],
    ],
    'may use scripts': [
      ['EVAL', "return redis.call('GET', KEYS[1])", '1', text],
      ['EVALSHA', '0'.repeat(40), '1', text],
    ],
    'may publish': [publish],
  };
}

type Five = [string, string, string, string, string];

/** A user who may not delete leaves keys behind; they expire. */
const LIFE_MS = '60000';

async function checkKind(
  check: string,
  trials: readonly Trial[],
  keys: Keys,
  send: (trial: Trial) => Promise<unknown>,
): Promise<Finding> {
  const refused: string[] = [];
  let problem: string | null = null;
  for (const trial of trials) {
    try {
      await send(trial);
    } catch (error) {
      const { message } = error as Error;
      if (isForbidden(error)) refused.push(nameOf(trial));
      else if (!isScriptUnknown(error)) problem ??= `${nameOf(trial)}: ${message}`;
    }
  }
  if (refused.length > 0) {
    return fail(check, `the user may not use ${refused.join(', ')} on ${keys.prefix}*`, adviceFor(refused, keys));
  }
  if (problem !== null) return fail(check, problem, 'the error is the reply of the server');
  const [first, ...others] = trials;
  const what = others.length > 0 ? `all ${trials.length} commands that docket sends are` : `${nameOf(first!)} is`;
  return ok(check, `${what} allowed`);
}

async function checkSubscribe(docket: DocketSettings): Promise<Finding> {
  const { keys } = docket;
  const check = 'may subscribe';
  const subscriber = await openConnection(docket, 'subscriber');
  const subscribe = hasShardChannels(subscriber) ? 'SSUBSCRIBE' : 'SUBSCRIBE';
  try {
    await subscriber.subscribe(keys.events('doctor'));
    return ok(check, `${subscribe} to ${keys.prefix}* is allowed`);
  } catch (error) {
    return fail(check, (error as Error).message, adviceFor([subscribe], keys));
  } finally {
    await closeConnection(subscriber);
  }
}

/** Tries commands that docket can do without, at a price. */
async function checkOptional(redis: Redis): Promise<Finding> {
  const check = 'may inspect';
  const refused: string[] = [];
  for (const { trial } of OPTIONAL) {
    await redis.call(...(trial as [string, ...string[]])).catch(() => refused.push(nameOf(trial)));
  }
  if (refused.length === 0) return ok(check, 'INFO, CONFIG GET, CLIENT UNBLOCK and SCAN are allowed');
  const detail = `the user may not use ${refused.join(', ')}`;
  return warn(
    check,
    detail,
    OPTIONAL.filter(({ trial }) => refused.includes(nameOf(trial)))
      .map(({ without }) => without)
      .join('; '),
  );
}

const OPTIONAL: readonly { readonly trial: Trial; readonly without: string }[] = [
  { trial: ['INFO', 'server'], without: 'without INFO the doctor sees less' },
  {
    trial: ['CONFIG', 'GET', 'save'],
    without:
      'without CONFIG GET the doctor does not know how the server saves its data: run it as an administrator, since that right shows passwords, too',
  },
  {
    trial: ['CLIENT', 'UNBLOCK', '0'],
    without: 'without CLIENT UNBLOCK a worker that stops has to cut its link to end a read',
  },
  {
    trial: ['SCAN', '0', 'COUNT', '1'],
    without:
      'without SCAN workers do not find executions whose entries were deleted, and those that have ended are not listed',
  },
];

function adviceFor(refused: readonly string[], { prefix }: Keys): string {
  const commands = refused.map((name) => `+${name.toLowerCase().replace(' ', '|')}`).join(' ');
  return `ACL SETUSER <user> ~${prefix}* &${prefix}* ${commands}`;
}

function nameOf([command, sub]: Trial): string {
  return ['XGROUP', 'XINFO', 'CONFIG', 'CLIENT'].includes(command!) ? `${command} ${sub}` : command!;
}
