/**
 * How a command fails: one line on stderr, a link for people, and an exit code. Owns two promises: no stack trace is printed, and
 * no password, wherever on the command line or in the environment it was.
 */
import { type Command, CommanderError } from 'commander';
import {
  DocketError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  PayloadTooLargeError,
  UnencodableValueError,
} from '../core/errors.js';
import { maskUrl } from '../redis/url.js';
import { EXIT } from './exit-codes.js';
import { printable } from './output.js';

/** The reason why a command cannot do what it was asked for. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
  }
}

/**
 * Prints why a command failed, unless commander has done so, and returns its exit code. `command` is the one that was
 * running, if any.
 */
export function reportFailure(name: string, error: unknown, command?: Command): number {
  // commander has printed its line, or the help
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  process.stderr.write(failureLine(name, problemOf(error, command)) + linkLine(error, process.stderr.isTTY));
  return exitCodeOf(error);
}

/** Makes the line with the link to the section about an error. People get it; what is no terminal gets one line only. */
export function linkLine(error: unknown, isTerminal: boolean): string {
  return isTerminal && error instanceof DocketError ? `see ${error.url}\n` : '';
}

/**
 * Returns the message of an error. An option that has a flag is named by it: `--max-deliveries`, not
 * `maxDeliveries`.
 */
export function problemOf(error: unknown, command: Command | undefined): string {
  if (!(error instanceof InvalidOptionError)) return error instanceof Error ? error.message : String(error);
  const { option, message } = error;
  const attribute = option === 'name' ? 'docket' : option; // a worker accepts any name
  for (let at = command; at; at = at.parent ?? undefined) {
    const flag = at.options.find((one) => one.attributeName() === attribute)?.long;
    if (flag) return `${flag}${message.slice(option.length)}`;
  }
  return message;
}

/** Makes the line that says why a command failed. */
export function failureLine(name: string, problem: string): string {
  return `${name}: ${printable(
    withoutSecrets(problem.replace(/^error: /, ''))
      .replace(/\s*[\r\n]+\s*/g, ' ')
      .trim(),
  )}\n`;
}

/**
 * Masks the URLs that this process was given. docket's own errors contain no password; this is for errors that quote the
 * command line, where a URL may be anywhere by mistake.
 */
function withoutSecrets(text: string, given = [...process.argv.slice(2), process.env.DOCKET_URL ?? '']): string {
  const urls = given.map((one) => /[a-z][a-z0-9+.-]*:\/\/.*/is.exec(one)?.[0] ?? '');
  return urls.reduce((masked, url) => (url === '' ? masked : masked.replaceAll(url, maskUrl(url))), text);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ExecutionNotFoundError || error instanceof ExecutionSupersededError) return EXIT.notFound;
  const isUsage = [InvalidOptionError, UnencodableValueError, PayloadTooLargeError].some(
    (kind) => error instanceof kind,
  );
  return isUsage ? EXIT.usage : EXIT.failed;
}
