/**
 * Resolves a package as `import` does, but as seen from another folder than this file's: with pnpm or a global
 * installation docket sees other packages than the user. Node offers that for `require` only, which misses packages
 * that are for `import` alone.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Finds the file that `import(specifier)` would load in a module in the folder `from`.
 * @throws Node's own error, such as `MODULE_NOT_FOUND`
 */
export function resolvePackage(specifier: string, from: string): string {
  const require = createRequire(join(from, 'index.js'));
  const [name = ''] = /^(?:@[^/]+\/)?[^/]+/.exec(specifier) ?? [];
  const subpath = `.${specifier.slice(name.length)}`;
  for (const folder of require.resolve.paths(specifier) ?? []) {
    const manifest = join(folder, name, 'package.json');
    const text = readIfPresent(manifest);
    if (text === undefined) continue;
    const target = targetOf(JSON.parse(text).exports, subpath);
    if (target !== undefined) return join(dirname(manifest), target);
    break;
  }
  // No `exports`, or one with patterns: `require` knows the rest.
  return require.resolve(specifier);
}

const CONDITIONS = new Set(['import', 'node', 'default']);

function targetOf(exports: unknown, subpath: string): string | undefined {
  if (!isRecord(exports)) return subpath === '.' ? conditionOf(exports) : undefined;
  if ('.' in exports || subpath in exports) return conditionOf(exports[subpath]);
  return subpath === '.' ? conditionOf(exports) : undefined;
}

/** The first condition that applies and leads somewhere, in the order of the manifest. */
function conditionOf(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (!isRecord(target)) return undefined;
  for (const [condition, nested] of Object.entries(target)) {
    const found = CONDITIONS.has(condition) ? conditionOf(nested) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
