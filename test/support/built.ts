/**
 * What tests need of the built files but the package does not export. Tests of behaviour load no source: threads and child
 * processes run built files, and a class of the source is not the same class.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Found by name, because this file is run as it is and, for the chaos suite, in its built form. */
const PACKAGE = pathToFileURL(createRequire(import.meta.url).resolve('docket/package.json'));

/** The URL of a built file, such as `redis/connection.js`, for a thread or a child process. */
export function builtUrl(file: string): string {
  return new URL(`dist/src/${file}`, PACKAGE).href;
}

/** Loads a built file, whose type is that of its source. Type-checking needs no build, since this is no import by path. */
export async function importBuilt<Module>(file: string): Promise<Module> {
  return (await import(builtUrl(file))) as Module;
}

export const { STREAM, STREAM_NAMES } =
  await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
export const { openConnection, closeConnection } =
  await importBuilt<typeof import('../../src/redis/connection.js')>('redis/connection.js');
