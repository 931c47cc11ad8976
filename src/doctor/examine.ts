/** Looks for problems that keep a docket from working, or lose its work: for `docket doctor`, and for the dashboard. */
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { spanText } from '../core/text.js';
import { connectAdvice } from '../redis/connect-errors.js';
import { describeDocket } from '../redis/docket-settings.js';
import { isLinkError, LINK_IS_DOWN } from '../redis/link-errors.js';
import { MasterNotFoundError } from '../redis/master-search.js';
import { isReplyError, meaningOf } from '../redis/reply-errors.js';
import { checkDocket } from './docket-health.js';
import { type Finding, fail, ok, warn } from './finding.js';
import { nodeOf, unreachedAdvice } from './node.js';
import { checkPermissions } from './permissions.js';
import { checkClock, checkCoverage, checkServer, checkTopology, isReplica, readFacts } from './server.js';

/** Which checks are made. */
export interface Examination {
  /**
   * Whether those are made, too, that try out commands or look through all keys.
   * @default true
   */
  readonly isThorough?: boolean;
}

/** Makes all checks in order, except those that an earlier failure makes pointless. */
export async function examine(docket: Docket, { isThorough = true }: Examination = {}): Promise<Finding[]> {
  const { settings } = internalsOf(docket);
  const { keys } = settings;
  const findings: Finding[] = [];
  let node = '';
  try {
    const redis = await docket.redis;
    node = nodeOf(redis, settings.url);
    const begin = performance.now();
    await redis.ping().catch((error: unknown) => {
      if (!isReplyError(error)) throw error; // the user may not use PING, but the server answers
    });
    const answer = `${describeDocket(settings)} answers in ${spanText(performance.now() - begin)}`;
    findings.push(ok('connection', answer));
    const facts = await readFacts(redis);
    const unread = warn(
      'server',
      'the user may not use INFO, so version, eviction and persistence are unknown',
      'allow the command: +info',
    );
    findings.push(...(facts ? checkServer(facts) : [unread]));
    const topology = facts && checkTopology(facts, { url: settings.url, node });
    if (topology) findings.push(topology);
    const coverage = facts && checkCoverage(facts, node);
    if (coverage) findings.push(coverage);
    if (facts && isReplica(facts)) return findings; // it refuses every write, for which all other checks would fail
    findings.push(...(await group('clock', node, async () => [await checkClock(redis)])));
    if (isThorough) findings.push(...(await group('permissions', node, () => checkPermissions(redis, settings))));
    findings.push(...(await group('docket', node, () => checkDocket(docket, redis, { keys, isThorough }))));
  } catch (error) {
    // Only failures on the way to the server come here; all others are findings of their checks.
    findings.push(connectionFinding(error, { where: describeDocket(settings), url: settings.url, node }));
  }
  return findings;
}

/** Says why the server was not reached. */
function connectionFinding(error: unknown, { where, url, node }: Record<'where' | 'url' | 'node', string>): Finding {
  const check = 'connection';
  const { message, cause } = error as Error;
  const helps = cause instanceof Error ? connectAdvice(cause) : null;
  if (helps !== null) return fail(check, message, helps);
  const reply = [error, cause].find(isReplyError);
  if (reply) return refusal(check, reply, node);
  const detail = isLinkError(error) ? `${where} cannot be reached: ${LINK_IS_DOWN}` : message;
  const searched = cause instanceof MasterNotFoundError ? cause.advice : null;
  return fail(check, detail, searched ?? unreachedAdvice(url));
}

/** Says that the server has refused a command, and which one it is when the URL does not tell. */
function refusal(check: string, error: Error, node: string): Finding {
  const advice = meaningOf(error)?.advice ?? 'the error is the reply of the server';
  return fail(check, node === '' ? error.message : `${node} replied: ${error.message}`, advice);
}

/** Makes a group of checks. A command that the server refuses is a finding, and the checks of other groups go on. */
async function group(
  check: string,
  node: string,
  checks: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await checks();
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return [refusal(check, error, node)];
  }
}
