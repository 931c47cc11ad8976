// The site made of this folder: `npm run docs:build`. A link to a page that does not exist fails the build.
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import api from '../api/typedoc-sidebar.json' with { type: 'json' };

const DOCS = fileURLToPath(new URL('..', import.meta.url));
const ROOT = join(DOCS, '..');
const REPOSITORY = 'https://github.com/docket-ts/docket/blob/main';

export default defineConfig({
  title: 'docket',
  description: 'Distributed background tasks on Redis for CPU-heavy fleets, in TypeScript.',
  cleanUrls: true,
  rewrites: { 'decisions/README.md': 'decisions/index.md' },
  vite: { build: { chunkSizeWarningLimit: 2_000 } }, // the index of the search
  markdown: {
    languageAlias: { promql: 'txt' },
    anchor: { slugify: slugOnForge },
    config: (markdown) => markdown.core.ruler.push('links-out', linkToRepository),
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    socialLinks: [{ icon: 'github', link: 'https://github.com/docket-ts/docket' }],
    nav: [
      { text: 'Guide', link: '/getting-started' },
      { text: 'Command line', link: '/cli' },
      { text: 'API', link: '/api/' },
      { text: 'Troubleshooting', link: '/troubleshooting' },
    ],
    sidebar: [
      group('Begin', {
        'getting-started': 'Getting started',
        'migrating-from-bullmq': 'From BullMQ',
        'migrating-from-python': 'From Celery or Python docket',
        comparison: 'Beside others',
      }),
      group('Write', {
        tasks: 'Tasks and policies',
        adding: 'Adding work',
        dependencies: 'Dependencies',
        limits: 'Limits',
        schedules: 'Schedules',
        results: 'Results, progress, events',
        priorities: 'Priorities',
        testing: 'Testing',
      }),
      group('Run', {
        workers: 'Workers',
        connecting: 'Connecting to Redis',
        production: 'Production',
        scaling: 'Scaling',
        partitions: 'Partitions',
        guarantees: 'Guarantees',
      }),
      group('Operate', {
        cli: 'Command line',
        dashboard: 'Dashboard',
        observability: 'Observability',
        inspecting: 'Inspecting',
        failures: 'Failures',
        pause: 'Pauses',
        strikes: 'Strikes',
        incidents: 'Incidents',
        troubleshooting: 'Troubleshooting',
      }),
      group('Inside', { 'how-it-works': 'How it works', glossary: 'Glossary', 'decisions/': 'Decisions' }),
      { text: 'API', collapsed: true, items: api },
    ],
  },
});

/** The pages of a group that exist, by their titles. */
function group(text, pages) {
  const items = Object.entries(pages).filter(([page]) =>
    existsSync(join(DOCS, page.endsWith('/') ? `${page}README.md` : `${page}.md`)),
  );
  return { text, items: items.map(([page, title]) => ({ text: title, link: `/${page}` })) };
}

/** The anchor of a heading as forges make it, so that one link works on both. */
function slugOnForge(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** Lets links to files outside this folder lead to the repository. */
function linkToRepository({ tokens, env }) {
  for (const token of tokens.flatMap(({ children }) => children ?? [])) {
    const href = token.type === 'link_open' ? token.attrGet('href') : null;
    if (!href || /^(?:[a-z]+:|#|\/)/.test(href)) continue;
    const target = join(dirname(join(DOCS, env.relativePath)), decodeURI(href));
    const path = relative(ROOT, target);
    if (!path.startsWith('docs/')) token.attrSet('href', `${REPOSITORY}/${path}`);
  }
}
