/** Asks before something is removed for good. */
import { createInterface } from 'node:readline/promises';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';

/**
 * Asks for confirmation, on stderr, so that stdout has only the result of the command.
 * @param question - makes the question, which ends with a question mark
 * @param refusal - what is said when the answer is no
 * @throws CommandError when the answer is no, or when there is no terminal to ask
 */
export async function confirmUnless(
  isAgreed: boolean,
  question: () => string | Promise<string>,
  refusal = 'nothing was removed',
): Promise<void> {
  if (isAgreed) return;
  if (!process.stdin.isTTY) {
    throw new CommandError('there is no terminal to ask for confirmation: pass --yes', EXIT.usage);
  }
  const text = await question();
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${text} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(refusal);
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    throw new CommandError(refusal, EXIT.interrupted); // Ctrl-C
  } finally {
    prompt.close();
  }
}
