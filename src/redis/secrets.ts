/**
 * Keeps the user names and passwords of one connection out of its errors.
 *
 * ioredis keeps the arguments of AUTH and HELLO in errors, and old servers repeat them in the text. A user name without a
 * password may be a misplaced password.
 */

/** How many rotating passwords are remembered. Older ones cannot be in new errors. */
const MOST_REMEMBERED = 8;

export class Secrets {
  #known: readonly string[] = [];

  /** Remembers a password, or a user name without one. */
  learn({ username, password }: { readonly username?: string; readonly password?: string }): void {
    const secret = password || username;
    if (!secret || this.#known.includes(secret)) return;
    this.#known = [secret, ...this.#known].slice(0, MOST_REMEMBERED);
  }

  /** Removes all secrets from an error. */
  removeFrom(error: Error & { command?: unknown }): void {
    if (this.#known.length === 0) return;
    delete error.command;
    error.message = this.#masked(error.message);
    if (error.stack !== undefined) error.stack = this.#masked(error.stack);
  }

  #masked(text: string): string {
    return this.#known.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
  }
}
