/** What tests need of the built files but the package does not export. Threads and child processes run built files. */

type ConnectionModule = typeof import('../../src/redis/connection.js');

/** The URL of a built file, such as `redis/connection.js`, for `import()` here, in a thread or in a child process. */
export function builtUrl(file: string): string {
  return new URL(`../../dist/src/${file}`, import.meta.url).href;
}

// Imported by URL, not by path: type-checking must not need a build.
export const { openConnection, closeConnection }: ConnectionModule = await import(builtUrl('redis/connection.js'));
