/**
 * Loads modules of users with `require`, in place of `src/tasks/import-module.ts` in the CommonJS build. That build is
 * used where `import()` of Node is not at hand, in Jest above all: there, `require` also brings its transforms and its
 * mocks. A Node that cannot require ES modules can import them.
 */
import { fileURLToPath } from 'node:url';

/** Returns the exports of the module of this URL, with all of them in `default` unless it was compiled from an ES module. */
export async function importModule(url) {
  let exports;
  try {
    exports = require(url.startsWith('file:') ? fileURLToPath(url) : url);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ESM' && error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return await importNatively(url).catch((other) => {
      throw String(other?.code).startsWith('ERR_VM_DYNAMIC_IMPORT') ? error : other; // Jest has no such import
    });
  }
  return exports?.__esModule ? exports : { ...exports, default: exports };
}

/** Imports by code that the build does not see: it would make a `require` of it. */
async function importNatively(url) {
  return await new Function('url', 'return import(url)')(url);
}

/** Does nothing: whether TypeScript can be required is the matter of the one that requires, such as a transform of Jest. */
export async function enableTypeScript() {}
