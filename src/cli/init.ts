/** `docket init`: writes tasks, a producer, scripts and tests into a project. It talks to no server. */
import { Command, Option } from 'commander';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { type Plan, planInit } from './init/plan.js';
import { inspectProject, type Project } from './init/project.js';
import { writePlan } from './init/write.js';
import { print, printable, printJson } from './output.js';
import type { CommonFlags } from './session.js';

interface InitFlags extends CommonFlags {
  readonly name?: string;
  readonly typescript?: boolean;
  readonly javascript?: boolean;
  readonly force?: boolean;
}

export function initCommand(): Command {
  return new Command('init')
    .description('Writes a task, its producer, a test and scripts for them into an empty or an existing project.')
    .argument('[folder]', 'folder of the project, which is made if it does not exist', '.')
    .option('--name <name>', 'name of a new project (default: that of the folder)')
    .addOption(new Option('--typescript', 'write TypeScript (default: as the project does)').conflicts('javascript'))
    .option('--javascript', 'write JavaScript')
    .option('--force', 'overwrite files and scripts of the same names')
    .option('--json', 'write JSON')
    .action((path: string, flags: InitFlags) => {
      if (path === '') throw new CommandError('the folder is empty: name one, or leave it out', EXIT.usage);
      const { name, typescript, javascript, force = false, json = false } = flags;
      const project = inspectProject(path, {
        ...(name !== undefined && { name }),
        ...(typescript && { language: 'typescript' }),
        ...(javascript && { language: 'javascript' }),
      });
      const plan = planInit(project, force);
      writePlan(project.folder, plan, force);
      if (json) printJson(describe(project, plan));
      else for (const line of linesOf(project, plan)) print(printable(line));
    });
}

function describe({ folder, language, modules }: Project, { files, additions, next }: Plan): object {
  return { folder, language, modules, files: [...Object.keys(files), 'package.json'], added: additions, next };
}

function linesOf({ hasManifest }: Project, { files, additions, next }: Plan): string[] {
  const added = Object.values(additions).flatMap(Object.keys);
  return [
    ...Object.keys(files).map((path) => `wrote    ${path}`),
    `${hasManifest ? 'changed ' : 'wrote   '} package.json${added.length > 0 ? ` (added ${added.join(', ')})` : ''}`,
    '',
    'Next, without Redis:',
    ...next.map((command) => `  ${command}`),
    '',
    'With Redis: the scripts docket:redis, docket:worker and docket:add; docket:test runs the test.',
  ];
}
