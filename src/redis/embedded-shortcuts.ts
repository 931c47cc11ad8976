/**
 * Answers some commands of an embedded server by a shorter way than its own. Owns the rule of when that may be: never within
 * MULTI, where commands are queued, and not for a writing command while somebody may ask for keyspace notifications, which
 * name the command.
 */

import type {
  CommandPlan,
  createRedisCommandExecutor,
  RedisDatabase,
  RedisExecutionContext,
  RedisResult,
} from 'js-redis-server/core';

/** Answers a command, or leaves it to the server by returning undefined. */
export type Shortcut = (plan: CommandPlan, ctx: RedisExecutionContext) => RedisResult | undefined;

type ExecutorOptions = NonNullable<Parameters<typeof createRedisCommandExecutor>[0]>;
type ExecutionPolicy = NonNullable<ExecutorOptions['policies']>[number];

/** A policy of the server that takes the shortcuts, by the names of their commands. */
export function shortcutPolicy(shortcuts: Readonly<Record<string, Shortcut>>): ExecutionPolicy {
  const byName = new Map(Object.entries(shortcuts));
  return {
    name: 'docket-shortcuts',
    beforeExecute(plan, ctx) {
      const shortcut = byName.get(plan.definition.name);
      if (shortcut === undefined || ctx.session.mode === 'transaction') return undefined;
      const isTold = plan.flags.includes('write') && ctx.server.notifyKeyspaceEvents !== '';
      return isTold ? undefined : shortcut(plan, ctx);
    },
  };
}

/** Has the server's own command answer from a part of the data, with arguments that fit the part. */
export function answerFrom(
  plan: CommandPlan,
  ctx: RedisExecutionContext,
  args: unknown,
  part: Partial<RedisDatabase>,
): RedisResult {
  const { server, session, executor, signal, park } = ctx;
  const db = part as RedisDatabase;
  return plan.definition.execute(args, { db, server, session, executor, signal, park }) as RedisResult;
}
