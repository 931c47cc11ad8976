/** Looks for problems that keep a docket from working, or lose its work: for `docket doctor`, and for the dashboard. */
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { RedisUnavailableError } from '../core/errors.js';
import { spanText } from '../core/text.js';
import { describeDocket } from '../redis/docket-settings.js';
import { isLinkError, LINK_IS_DOWN } from '../redis/link-errors.js';
import { isReplyError } from '../redis/reply-errors.js';
import { checkDocket } from './docket-health.js';
import { type Finding, fail, ok, warn } from './finding.js';
import { checkPermissions } from './permissions.js';
import { checkClock, checkServer, checkTopology, isReplica, readFacts } from './server.js';

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
  try {
    const redis = await docket.redis;
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
    const topology = facts && checkTopology(facts, settings.url);
    if (topology) findings.push(topology);
    if (facts && isReplica(facts)) return findings; // it refuses every write, for which all other checks would fail
    findings.push(...(await group('clock', async () => [await checkClock(redis)])));
    if (isThorough) findings.push(...(await group('permissions', () => checkPermissions(redis, settings))));
    findings.push(...(await group('docket', () => checkDocket(docket, redis, { keys, isThorough }))));
  } catch (error) {
    // Only failures on the way to the server come here; all others are findings of their checks.
    findings.push(connectionFinding(error, describeDocket(internalsOf(docket).settings)));
  }
  return findings;
}

/** Says why the server was not reached. */
function connectionFinding(error: unknown, where: string): Finding {
  const check = 'connection';
  const detail = isLinkError(error) ? `${where} cannot be reached: ${LINK_IS_DOWN}` : (error as Error).message;
  const isUnreached = isLinkError(error) || error instanceof RedisUnavailableError;
  const advice = 'make sure that Redis runs there and that --url (DOCKET_URL) has the right address, user and password';
  return fail(check, detail, isUnreached ? advice : 'the error is the reply of the server');
}

/** Makes a group of checks. A command that the server refuses is a finding, and the checks of other groups go on. */
async function group(check: string, checks: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await checks();
  } catch (error) {
    if (!isReplyError(error)) throw error;
    return [fail(check, error.message, 'the error is the reply of the server')];
  }
}
