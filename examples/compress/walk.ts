/** Finds the regular files under a folder. Symbolic links are not followed, so no file is found twice and no walk is endless. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
}

/** @param unreadable - called for each folder or file that cannot be read; the walk goes on with the others */
export async function walk(folder: string, unreadable: (path: string, error: unknown) => void): Promise<FoundFile[]> {
  const files: FoundFile[] = [];
  const folders = [folder];
  async function visit(path: string): Promise<void> {
    try {
      const stats = await lstat(path);
      if (stats.isDirectory()) folders.push(path);
      else if (stats.isFile()) files.push({ path, bytes: stats.size });
    } catch (error) {
      unreadable(path, error);
    }
  }
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const parent = next;
    try {
      const names = await readdir(parent);
      await Promise.all(names.map((name) => visit(join(parent, name))));
    } catch (error) {
      unreadable(parent, error);
    }
  }
  return files;
}
