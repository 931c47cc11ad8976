/**
 * Resolves a package as `import` does, but from the user's folder and not from that of this file: with pnpm or a global
 * installation, docket sees other packages than the user. Node offers this for `require` only, which does not find
 * packages that can only be imported.
 */
import { readFileSync } from 'node:fs';
import nodeModules from 'node:module'; // webpack puts a `require` of its own in place of an imported `createRequire`
import { dirname, join } from 'node:path';

/**
 * Returns the path of the file that `import(specifier)` would load in a module in the folder `from`.
 * @throws Error of Node, such as one with the code `MODULE_NOT_FOUND`
 */
export function resolvePackage(specifier: string, from: string): string {
  const require = nodeModules.createRequire(join(from, 'index.js'));
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
  // There is no `exports`, or it has patterns: `require` handles both.
  return require.resolve(specifier);
}

const CONDITIONS = new Set(['import', 'node', 'default']);

function targetOf(exports: unknown, subpath: string): string | undefined {
  if (!isRecord(exports)) return subpath === '.' ? conditionOf(exports) : undefined;
  if ('.' in exports || subpath in exports) return conditionOf(exports[subpath]);
  return subpath === '.' ? conditionOf(exports) : undefined;
}

/** Returns the target of the first condition that applies, in the order of the manifest. */
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
