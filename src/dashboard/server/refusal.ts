/** The errors of the API: refusals, and the status and JSON that answer each error. */
import type { Context } from 'hono';
import { DocketError, ExecutionNotFoundError, InvalidOptionError, RedisUnavailableError } from '../../core/errors.js';
import { isLinkError, LINK_IS_DOWN } from '../../redis/link-errors.js';
import type { Logger } from '../../tasks/context.js';
import type { ErrorJson } from '../api.js';

type Status = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 421 | 500 | 503;

/** A request that is refused. */
export class Refusal extends Error {
  readonly status: Status;
  readonly code: string;

  constructor(status: Status, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Answers with an error. An unexpected one is logged, and its message stays out of the answer. */
export function answerError(context: Context, error: unknown, logger: Logger): Response {
  const [status, json] = errorAnswer(error);
  if (status === 500) logger.error({ err: error, path: context.req.path }, 'the dashboard could not answer');
  if (status === 401) context.header('WWW-Authenticate', 'Basic realm="docket", charset="UTF-8"');
  return context.json(json, status);
}

/** Returns the status and the JSON with which an error is answered. */
export function errorAnswer(error: unknown): [Status, ErrorJson] {
  if (error instanceof Refusal) return [error.status, { code: error.code, message: error.message }];
  if (isLinkError(error)) return errorAnswer(new RedisUnavailableError(problemText(error)));
  if (!(error instanceof DocketError)) {
    return [500, { code: 'DASHBOARD_ERROR', message: 'the dashboard could not answer: see its log' }];
  }
  return [statusOf(error), { code: error.code, message: error.message }];
}

/** Says why the docket cannot be read. */
export function problemText(error: unknown): string {
  return isLinkError(error) ? `Redis cannot be reached: ${LINK_IS_DOWN}` : (error as Error).message;
}

/** Returns what is logged of a change that failed. An outage is told in words: its stacks would be those of the client of Redis. */
export function problemFields(error: unknown): { readonly problem: string } | { readonly err: unknown } {
  const isOutage = isLinkError(error) || error instanceof RedisUnavailableError;
  return isOutage ? { problem: problemText(error) } : { err: error };
}

function statusOf(error: DocketError): Status {
  if (error instanceof InvalidOptionError) return 400;
  if (error instanceof ExecutionNotFoundError) return 404;
  return error instanceof RedisUnavailableError ? 503 : 500;
}
