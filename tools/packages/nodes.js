/** The executables of Node on which docket is tried. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, project, succeed } from './project.js';

let found;

/**
 * Returns the executables by their major versions: the one that runs this, those that are given, or those of the
 * package `node`.
 */
export function nodes() {
  found ??= findAll();
  return found;
}

async function findAll() {
  const all = [];
  for (const major of [20, 22, 24, 26]) {
    if (process.versions.node.startsWith(`${major}.`)) all.push([major, process.execPath]);
    else all.push([major, await nodeOf(major)]);
  }
  return all;
}

async function nodeOf(major) {
  const given = process.env[`NODE_${major}`];
  if (given && existsSync(given)) return given;
  const folder = project({ 'package.json': manifest({ node: `^${major}.0.0` }) });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  return join(folder, 'node_modules/node/bin/node');
}
