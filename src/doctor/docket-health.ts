/** Checks the docket itself: workers, streams and their groups, scripts, and work that is stuck. */
import type { Redis } from 'ioredis';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { countText, spanText } from '../core/text.js';
import { type LiveWorker, liveWorkers, runsTask } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { isForbidden, isRefusal, isReplyError } from '../redis/reply-errors.js';
import { GROUP, STREAM_NAMES } from '../redis/schema.js';
import { findLost, type LostPage } from '../redis/sweep-store.js';
import type { Failure } from '../tasks/failures.js';
import { limitText } from '../tasks/limit-text.js';
import type { Snapshot } from '../tasks/snapshot.js';
import { type Finding, fail, ok, warn } from './finding.js';
import { nodeOf, unreachedAdvice } from './node.js';
import { checkCoverage, checkServer, readFacts } from './server.js';
import { checkBacklog, checkFailing, checkSilent, type SilentConsumer } from './troubles.js';

/** Makes all checks of the docket, and only reads. Only a thorough examination looks through all keys. */
export async function checkDocket(
  docket: Docket,
  redis: Redis,
  { keys, isThorough }: { readonly keys: Keys; readonly isThorough: boolean },
): Promise<Finding[]> {
  const partitions = await checkPartitions(docket, isThorough);
  if (partitions.some(({ check }) => UNREACHED.test(check))) return partitions; // all checks below ask every partition
  const scripts = await checkScripts(docket);
  if (!scripts.snapshot) return [scripts.finding];
  const live = await liveWorkers(redis, keys);
  const groups = await Promise.all(
    STREAM_NAMES.map((name) => refusalIsFinding(checkGroup(name, redis, keys[name], live))),
  );
  const { snapshot } = scripts;
  return [
    scripts.finding,
    ...groups.map(({ finding }) => finding),
    checkWorkers(live, snapshot),
    checkSilent(
      groups.flatMap(({ silent }) => silent),
      live.length > 0,
    ),
    checkPauses(snapshot),
    await checkBacklog(redis, keys, snapshot),
    checkWaiting(snapshot),
    checkTasks(snapshot),
    await checkFailing(docket),
    await checkFailures(docket, snapshot),
    ...(isThorough ? [await checkLost(redis, keys, live)] : []),
    ...partitions,
  ];
}

/** The name of the finding about a partition that cannot be reached. */
const UNREACHED = /^(drained )?partition [\w.]+$/;

/** Makes the checks of one partition in all others, too, and tells only what is wrong there. */
async function checkPartitions(docket: Docket, isThorough: boolean): Promise<Finding[]> {
  const { partitions } = internalsOf(docket);
  const [first, ...others] = await partitions.load();
  if (others.length === 0) return [];
  const { tags } = partitions.routes.layout;
  const { url } = first!.settings;
  const servers = new Set([nodeOf(await docket.redis, url)]); // that of partition 0 is checked elsewhere
  const checked = await Promise.all(
    others.map((partition) => {
      const { tag } = partition;
      const name = tags.includes(tag) ? `partition ${tags.indexOf(tag)}` : `drained partition ${tag}`;
      return partition
        .run(async (redis, keys) => {
          const node = nodeOf(redis, url);
          const isNew = !servers.has(node);
          servers.add(node);
          const findings = await checkPartition(redis, keys, isThorough);
          const named = findings.map((finding) => ({ ...finding, check: `${name}: ${finding.check}` }));
          return [...named, ...(isNew ? await checkNode(redis, node) : [])];
        })
        .catch((error: Error) => [fail(name, error.message, unreachedAdvice(url))]);
    }),
  );
  const problems = checked.flat().filter(({ status }) => status !== 'ok');
  return problems.length > 0 ? problems : [ok('partitions', `${others.length + 1}, and nothing is wrong with them`)];
}

async function checkPartition(redis: Redis, keys: Keys, isThorough: boolean): Promise<Finding[]> {
  const begin = performance.now();
  const live = await liveWorkers(redis, keys);
  const speed = speedOf('reading the list of its workers', performance.now() - begin);
  const groups = STREAM_NAMES.map(async (name) => (await checkGroup(name, redis, keys[name], live)).finding);
  const lost = isThorough ? [checkLost(redis, keys, live)] : [];
  return [speed, checkReaders(live), ...(await Promise.all([...groups, ...lost]))];
}

/** Checks another master of the cluster: each has settings of its own. */
async function checkNode(redis: Redis, node: string): Promise<Finding[]> {
  const facts = await readFacts(redis);
  if (!facts) return []; // that INFO is missing is found at the master of partition 0
  const coverage = checkCoverage(facts, node);
  return [...checkServer(facts), ...(coverage ? [coverage] : [])].map((finding) => ({
    ...finding,
    check: `${finding.check} of ${node}`,
  }));
}

function speedOf(what: string, tookMs: number): Finding {
  const detail = `${what} took ${spanText(tookMs)}`;
  return tookMs > SLOW_MS ? warn('speed', detail, SLOW_ADVICE) : ok('speed', detail);
}

/** A partition that no worker reads keeps its work, and nothing of it starts. */
function checkReaders(live: readonly LiveWorker[]): Finding {
  const check = 'workers';
  if (live.length > 0) return ok(check, `${live.length} live`);
  return warn(check, 'no live worker reads it', 'start one without --partitions, or with one that names it');
}

/**
 * Takes a snapshot, which runs the scripts that only read. Throws if the link breaks meanwhile: that says nothing about
 * scripts.
 */
async function checkScripts(docket: Docket): Promise<{ finding: Finding; snapshot?: Snapshot }> {
  const check = 'scripts';
  const begin = performance.now();
  try {
    const snapshot = await docket.snapshot();
    const tookMs = performance.now() - begin;
    const detail = `a snapshot took ${spanText(tookMs)}`;
    return { finding: tookMs > SLOW_MS ? warn(check, detail, SLOW_ADVICE) : ok(check, detail), snapshot };
  } catch (error) {
    const cause = error instanceof Error ? error.cause : error;
    if (!isReplyError(cause)) throw error;
    const advice = isForbidden(cause)
      ? 'allow the user the commands that the checks above name'
      : 'other keys may have the names that the docket uses, or a script may block the server';
    return { finding: fail(check, (error as Error).message, advice) };
  }
}

const SLOW_MS = 1_000;
const SLOW_ADVICE = 'look at SLOWLOG, and at what else uses this server';

/** Turns a command that the user may not use into the finding of its check, so that the other checks go on. */
function refusalIsFinding(checking: Promise<GroupCheck>): Promise<GroupCheck> {
  return checking.catch((error: unknown) => {
    if (!isForbidden(error)) throw error;
    return findingOnly(
      fail('groups', (error as Error).message, 'allow the user the commands that the checks above name'),
    );
  });
}

interface GroupCheck {
  readonly finding: Finding;
  readonly silent: readonly SilentConsumer[];
}

function findingOnly(finding: Finding): GroupCheck {
  return { finding, silent: [] };
}

async function checkGroup(
  name: string,
  redis: Redis,
  stream: string,
  live: readonly LiveWorker[],
): Promise<GroupCheck> {
  const check = `group of ${name}`;
  const kind = await redis.type(stream);
  if (kind === 'none') return findingOnly(ok(check, 'no stream yet: it is created when it is needed'));
  if (kind !== 'stream')
    return findingOnly(
      fail(check, `${stream} is a ${kind}, not a stream`, 'remove it, or give the docket another name'),
    );
  const groups = ((await redis.xinfo('GROUPS', stream)) as unknown[][]).map(fieldsOf);
  const group = groups.find((one) => one.name === GROUP);
  if (!group) {
    const detail = `no group '${GROUP}' yet, and ${await redis.xlen(stream)} in the stream`;
    return findingOnly(
      live.length > 0 ? warn(check, detail, 'workers create it with their next read') : ok(check, detail),
    );
  }
  const consumers = ((await redis.xinfo('CONSUMERS', stream, GROUP)) as unknown[][]).map(fieldsOf);
  const names = new Set(live.map(({ consumer }) => consumer));
  const silent = consumers
    .map(({ name, pending, idle }) => ({ consumer: String(name), pending: Number(pending), idleMs: Number(idle) }))
    .filter(({ consumer, pending }) => pending > 0 && !names.has(consumer));
  const having = consumers.filter(({ pending }) => Number(pending) > 0).length;
  const detail = `${countText(Number(group.pending), 'execution')} in the hands of ${countText(having, 'worker')}`;
  return { finding: ok(check, detail), silent };
}

function fieldsOf(info: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: info.length / 2 }, (_, i) => [info[2 * i], info[2 * i + 1]]));
}

function checkWorkers(live: readonly LiveWorker[], { totals }: Snapshot): Finding {
  const check = 'workers';
  const able = live.filter(({ canClaim }) => canClaim);
  const threads = able.reduce((sum, worker) => sum + worker.threads, 0);
  if (able.length === 0) {
    return warn(
      check,
      `there are no live workers, and ${countText(totals.queued, 'execution')} in the queue`,
      'start one: docket worker --tasks <module>',
    );
  }
  if (able.length < live.length) {
    const detail = `live workers that take no work: ${live.length - able.length} of ${live.length}`;
    return warn(check, detail, 'they are draining, or their connection does not respond: look at their logs');
  }
  return ok(check, `${able.length} live, with ${countText(threads, 'thread')}`);
}

/** A pause that somebody made weeks ago is easily forgotten. */
function checkPauses({ pauses, totals, taken }: Snapshot): Finding {
  const check = 'pauses';
  const first = pauses[0];
  if (!first) return ok(check, 'nothing is paused');
  const since = spanText(taken.getTime() - first.since.getTime());
  const what = `${first.task ?? 'the whole docket'}, for ${since} (${first.reason})`;
  const detail = `${countText(pauses.length, 'pause')}, the first: ${what}; waiting in lines of paused tasks: ${totals.paused}`;
  return warn(check, detail, 'docket pauses lists them, docket resume ends them');
}

/** An entry that releases a permit hands it to the next waiter. When nothing runs, nothing releases one. */
function checkWaiting({ totals, waiting }: Snapshot): Finding {
  const check = 'waiting';
  if (totals.waiting === 0 || totals.running > 0) return ok(check, `waiting for a permit: ${totals.waiting}`);
  const waiter = waiting.find(({ isPaused }) => !isPaused);
  const first = waiter ? `; the first waits for ${limitText(waiter.waitingFor)}` : '';
  const detail = `waiting for a permit: ${totals.waiting}, and nothing that could release one is running${first}`;
  return warn(check, detail, 'start a worker: it wakes them within its redelivery timeout');
}

function checkTasks({ future, waiting, workers }: Snapshot): Finding {
  const check = 'unknown tasks';
  const tasks = [...new Set([...future, ...waiting].map(({ task }) => task))];
  const unknown = tasks.filter((task) => !workers.some((worker) => runsTask(worker, task)));
  if (workers.length === 0 || unknown.length === 0) return ok(check, 'none found');
  const detail = `no live worker has ${unknown.length === 1 ? 'the task' : 'the tasks'} ${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ', …' : ''}`;
  return warn(check, detail, 'start a worker that has them in --tasks, or cancel the executions');
}

/** Failures are normal. Quarantined ones are not: another program writes to the docket's keys. */
async function checkFailures(docket: Docket, { totals }: Snapshot): Promise<Finding> {
  const check = 'failures';
  if (totals.failures === 0) return ok(check, 'none are kept');
  let newest: Failure | undefined;
  let quarantined: Failure | undefined;
  for await (const failure of docket.failures({ limit: NEWEST_FAILURES })) {
    newest ??= failure;
    if (failure.kind === 'quarantined') quarantined ??= failure;
  }
  const line = ({ task, errorLine }: Failure) => (task === null ? errorLine : `${task}, ${errorLine}`);
  const detail = `kept: ${totals.failures}${newest ? `; the newest: ${line(newest)}` : ''}`;
  if (!quarantined) return ok(check, detail);
  const advice = "docket failures lists them; look for a program that writes to the docket's keys";
  return warn(check, `${detail}; one was quarantined: ${line(quarantined)}`, advice);
}

/** The doctor looks for quarantined ones among these. */
const NEWEST_FAILURES = 100;

/** Looks for executions whose entries, or whose places on the schedule or at a limit, were deleted. */
async function checkLost(redis: Redis, keys: Keys, live: readonly LiveWorker[]): Promise<Finding> {
  const check = 'lost executions';
  let [count, first]: [number, string | null] = [0, null];
  let cursor: string | null = '0';
  try {
    for (let pages = 0; cursor !== null && pages < LOST_PAGES; pages++) {
      const page: LostPage = await findLost(redis, keys, cursor);
      count += page.known + page.unknown;
      first ??= page.first;
      cursor = page.next;
    }
  } catch (error) {
    if (isRefusal(error))
      return warn(
        check,
        'not looked for, because the server refuses writes',
        'run the doctor again once it takes them',
      );
    if (!isForbidden(error)) throw error;
    return warn(check, 'not looked for, because the user may not use SCAN', 'allow the command: +scan');
  }
  const where = cursor === null ? '' : ' among the first 100,000 keys';
  if (count === 0) return ok(check, `none found${where}`);
  const detail = `executions whose entries were deleted${where}: ${count}, such as ${first}`;
  const repair = 'schedule them again if their message is still there, and fail the others';
  return warn(
    check,
    detail,
    live.length > 0 ? `live workers find them and ${repair}` : `start a worker: workers ${repair}`,
  );
}

/** Of 128 keys each. */
const LOST_PAGES = 800;
