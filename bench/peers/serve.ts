/** The child's end of `support/peer.ts`: starts a program, answers its requests, and ends when asked to or with the bench. */
import type { FromPeer, ToPeer } from '../support/peer.js';

/** A contender's program: answers requests until it is stopped. */
export interface Program<Request, Answer> {
  answer(request: Request): Promise<Answer> | Answer;
  stop(): Promise<void>;
}

/** Runs a peer program, whose settings are the JSON in the first argument. */
export async function serve<Settings, Request, Answer>(
  start: (settings: Settings) => Promise<Program<Request, Answer>> | Program<Request, Answer>,
): Promise<void> {
  process.once('disconnect', () => process.exit());
  if (!process.connected) process.exit(); // the bench ended while this program was loaded
  process.on('SIGINT', () => {}); // Ctrl-C reaches the whole process group; the bench decides
  try {
    const program = await start(JSON.parse(process.argv[2] ?? '{}'));
    process.on('message', (message: ToPeer) => void handle(program, message));
    send({ kind: 'ready' });
  } catch (error) {
    fail(error);
  }
}

async function handle<Request, Answer>(program: Program<Request, Answer>, message: ToPeer): Promise<void> {
  try {
    if (message.kind === 'request')
      return send({ kind: 'answer', value: await program.answer(message.value as Request) });
    await program.stop();
    process.exit();
  } catch (error) {
    fail(error);
    if (message.kind === 'stop') process.disconnect(); // the reason is sent before; `disconnect` ends the program
  }
}

function fail(error: unknown): void {
  send({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function send(message: FromPeer): void {
  process.send?.(message);
}
