/** Asks for a confirmation before a command that removes much. */
import { createInterface } from 'node:readline/promises';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';

/**
 * Refuses to go on where nobody can be asked.
 * @throws CommandError without a terminal
 */
export function requireTerminal(): void {
  if (process.stdin.isTTY) return;
  throw new CommandError('there is no terminal to ask for confirmation: pass --yes', EXIT.usage);
}

/**
 * Asks on stderr, so that stdout has only the result of the command.
 * @param refusal - what is said when the answer is no
 * @throws CommandError when the answer is no, or Ctrl-C
 */
export async function confirm(question: string, refusal: string): Promise<void> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(refusal);
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    throw new CommandError(refusal, EXIT.interrupted); // Ctrl-C
  } finally {
    prompt.close();
  }
}
