/**
 * Loads modules of users with `require`, in place of `src/tasks/import-module.ts` in the CommonJS build. That build is used where
 * `import()` of Node is not at hand, in Jest above all: there, `require` also brings its transforms and its mocks.
 */
import { fileURLToPath } from 'node:url';

/** Returns the exports of the module of this URL, with all of them in `default` unless it was compiled from an ES module. */
export async function importModule(url) {
  const exports = require(url.startsWith('file:') ? fileURLToPath(url) : url);
  return exports?.__esModule ? exports : { ...exports, default: exports };
}

/** Does nothing: whether TypeScript can be required is the matter of the one that requires, such as a transform of Jest. */
export async function enableTypeScript() {}
