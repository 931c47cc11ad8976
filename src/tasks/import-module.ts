/**
 * Imports modules of users. In the CommonJS build of the package, `tools/commonjs/require-module.js` is in the place of this
 * module.
 */
import nodeModules from 'node:module'; // webpack puts a `require` of its own in place of an imported `createRequire`
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TaskModuleError } from '../core/errors.js';
import { resolvePackage } from './package.js';

/** Imports the module of this URL. Bundlers are told to leave it alone, since they do not know the URL. */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  // Node 22 imports `.cts` with a `require` that fails for an ES module with imports of its own, such as docket.
  if (stripsTypes() && /^file:[^?#]*\.cts$/.test(url)) {
    return { default: nodeModules.createRequire(url)(fileURLToPath(url)) };
  }
  return import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ url);
}

/**
 * Makes TypeScript importable. Registers the user's `tsx` when Node itself does not strip types. Uses its API, because
 * importing `tsx` alone registers it on the main thread only.
 * @throws TaskModuleError when `tsx` cannot be found from the folder `from`
 */
export async function enableTypeScript(reference: string, from: string): Promise<void> {
  if (stripsTypes()) return;
  let tsx: string;
  try {
    tsx = resolvePackage('tsx/esm/api', from);
  } catch (cause) {
    const problem = `Node ${process.version} does not load TypeScript: install tsx, use Node 22.18 or newer, or compile it and pass the .js file`;
    throw new TaskModuleError(reference, problem, { cause });
  }
  const { register } = (await importModule(pathToFileURL(tsx).href)) as { register(): void };
  register();
}

function stripsTypes(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}
