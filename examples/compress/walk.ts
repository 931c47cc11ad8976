/** The regular files under a folder. Symbolic links are not followed, so nothing is seen twice and no loop is walked. */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** @param unreadable told about each folder that cannot be listed; the walk goes on with the others */
export async function walk(folder: string, unreadable: (folder: string, error: unknown) => void): Promise<string[]> {
  const files: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    try {
      for await (const entry of await opendir(next)) {
        const path = join(next, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile()) files.push(path);
      }
    } catch (error) {
      unreadable(next, error);
    }
  }
  return files;
}
