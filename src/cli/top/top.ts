/** `docket top`: a live overview of a docket in a terminal. */
import { Command } from 'commander';
import type { Docket } from '../../client/docket.js';
import { internalsOf } from '../../client/internals.js';
import { InvalidOptionError, RedisUnavailableError } from '../../core/errors.js';
import { aborted, pause, within } from '../../core/service.js';
import { describeDocket } from '../../redis/docket-settings.js';
import { EXIT } from '../exit-codes.js';
import { type CommonFlags, withDocket } from '../session.js';
import { durationArgument } from '../values.js';
import { type Picture, takePicture } from './picture.js';
import { openScreen } from './screen.js';

interface TopFlags extends CommonFlags {
  readonly once?: boolean;
  readonly interval?: number;
}

const DEFAULT_INTERVAL_MS = 1_000;
const SHORTEST_INTERVAL_MS = 100;
/** How long a picture may take before it is given up. */
const PATIENCE_MS = 10_000;

export function topCommand(): Command {
  return new Command('top')
    .description('Shows live what is waiting, running and failing, and the workers, until q or Ctrl-C.')
    .option('--once', 'print one picture and exit')
    .option('--interval <duration>', 'time between pictures (default: 1s)', durationArgument)
    .option('--json', 'write JSON, one line for each picture')
    .action(({ once = false, interval = DEFAULT_INTERVAL_MS, json = false }: TopFlags, command: Command) => {
      if (interval < SHORTEST_INTERVAL_MS) {
        throw new InvalidOptionError('interval', `expected ${SHORTEST_INTERVAL_MS}ms or more, got ${interval}ms`);
      }
      return withDocket(command, (docket) => watchTop(docket, { isOnce: once, isJson: json, intervalMs: interval }));
    });
}

interface TopOptions {
  readonly isOnce: boolean;
  readonly isJson: boolean;
  readonly intervalMs: number;
}

/**
 * Shows pictures until it is told to end, and returns the exit code. While Redis does not answer, the last one stays.
 * @throws what the first picture throws
 */
async function watchTop(docket: Docket, { isOnce, isJson, intervalMs }: TopOptions): Promise<number> {
  const first = await takePicture(docket);
  const screen = openScreen({ title: describeDocket(internalsOf(docket).settings), isOnce, isJson });
  const ending = isOnce ? null : listenForEnd();
  try {
    screen.show(first, null);
    if (ending) await repeat(docket, first, { ending: ending.signal, intervalMs, show: screen.show });
  } finally {
    screen.close();
    ending?.close();
  }
  return ending?.code() ?? EXIT.done;
}

interface RepeatOptions {
  readonly ending: AbortSignal;
  readonly intervalMs: number;
  show(picture: Picture, problem: string | null): void;
}

async function repeat(docket: Docket, first: Picture, { ending, intervalMs, show }: RepeatOptions): Promise<void> {
  let last = first;
  for (;;) {
    await pause(intervalMs, ending);
    if (ending.aborted) return;
    const picture = within(takePicture(docket), PATIENCE_MS);
    const problem = await Promise.race([
      picture.then((taken) => {
        if (taken === undefined) return NO_ANSWER;
        last = taken;
        return null;
      }, problemOf),
      aborted(ending).then(() => null),
    ]);
    if (ending.aborted) return;
    show(last, problem);
  }
}

const NO_ANSWER = 'Redis does not answer';

/** Returns a text that is short enough for the first line. */
function problemOf(error: unknown): string {
  if (error instanceof RedisUnavailableError) {
    const [partition] = /^partition \S+/.exec(error.message) ?? []; // of several, which are all needed
    return partition === undefined ? NO_ANSWER : `${partition} does not answer`;
  }
  return error instanceof Error ? error.message : String(error);
}

interface Ending {
  readonly signal: AbortSignal;
  code(): number;
  /** Gives the keys and the signals back. */
  close(): void;
}

const CTRL_C = '\u0003';

/** Listens for q and Ctrl-C, which a terminal passes on as keys, and for signals. */
function listenForEnd(): Ending {
  const ending = new AbortController();
  let code: number = EXIT.done;
  const end = (with_: number) => {
    if (ending.signal.aborted) return;
    code = with_;
    ending.abort();
  };
  const onSignal = (signal: NodeJS.Signals) => end(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
  const onKeys = (keys: Buffer) => {
    const text = keys.toString();
    if (text.includes(CTRL_C)) end(EXIT.interrupted);
    else if (/q/i.test(text)) end(EXIT.done);
  };
  const { stdin, stdout } = process;
  const hasKeys = stdin.isTTY === true && stdout.isTTY === true;
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  if (hasKeys) stdin.setRawMode(true).on('data', onKeys).resume();
  return {
    signal: ending.signal,
    code: () => code,
    close: () => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      if (hasKeys) stdin.setRawMode(false).off('data', onKeys).pause();
    },
  };
}
