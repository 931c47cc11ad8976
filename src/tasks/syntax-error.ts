/**
 * Finds out where a syntax error is. For an ES module Node tells it only when the error ends the process, so the module
 * and what it imports are parsed once more, in a process of their own, which runs nothing of them.
 */
/** The first line of a stack when it names a file and a line, as Node puts it before errors of CommonJS modules. */
const LOCATION = /^(?:file:|[\\/]|[A-Za-z]:[\\/]).*:\d+$/;
const PATIENCE_MS = 5_000;

/**
 * Parses modules from the one that is named, along relative imports, until one fails with the message that is named. This
 * ends the process, and Node writes where.
 */
const PARSER = `
import { readFileSync } from 'node:fs';
import { SourceTextModule } from 'node:vm';
const [first, message] = process.argv.slice(1);
const urls = new Set([first]);
for (const url of urls) {
  try {
    const module = new SourceTextModule(readFileSync(new URL(url), 'utf8'), { identifier: url });
    const imports = module.moduleRequests?.map(({ specifier }) => specifier) ?? module.dependencySpecifiers;
    for (const one of imports) if (/^(?:[.]{0,2}[/]|file:)/.test(one)) urls.add(new URL(one, url).href);
  } catch (error) {
    if (error instanceof SyntaxError && error.message === message) throw error;
  }
}`;

/**
 * Returns the file and the line of an error that importing a module ended with, such as `file:///app/tasks.js:3`; `null`
 * for errors that are no syntax errors, and when it cannot be found out.
 * @param url - of the module that was imported; the error may be in a module that it imports
 */
export async function locationOfSyntaxError(error: unknown, url: string): Promise<string | null> {
  if (!(error instanceof SyntaxError)) return null;
  const [first = ''] = error.stack?.split('\n', 1) ?? [];
  if (LOCATION.test(first)) return first;
  const { execFile } = await import('node:child_process'); // it would take memory in each thread
  const flags = ['--experimental-vm-modules', '--no-warnings', '--input-type=module', '--eval', PARSER];
  const env = { ...process.env, NODE_OPTIONS: '' }; // hooks of the host must not run there
  const written = await new Promise<string>((resolve) => {
    const options = { timeout: PATIENCE_MS, env };
    execFile(process.execPath, [...flags, url, error.message], options, (_failure, _stdout, stderr) => resolve(stderr));
  });
  return written.split('\n').find((line) => LOCATION.test(line)) ?? null;
}
