/** The frame of the page: navigation, the state of the link, and the page of the present address. */
import type { ComponentChild } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { LiveJson } from '../api.js';
import { act, Dialog, Notices, useMayChange } from './lib/act.js';
import { loadSession, session } from './lib/api.js';
import { countText } from './lib/format.js';
import { type Link, link, live, problem, startLive } from './lib/live.js';
import { href, type Route, route } from './lib/router.js';
import { useStore } from './lib/store.js';
import { theme, toggleTheme } from './lib/theme.js';
import { Execution } from './pages/execution.js';
import { Executions } from './pages/executions.js';
import { Failure } from './pages/failure.js';
import { Failures } from './pages/failures.js';
import { Limits } from './pages/limits.js';
import { Overview } from './pages/overview.js';
import { Schedules } from './pages/schedules.js';
import { Strikes } from './pages/strikes.js';
import { Tasks } from './pages/tasks.js';
import { Workers } from './pages/workers.js';
import { followKeys, type KeyedPage, Keys, showKeys } from './parts/keys.js';
import { Button, Loading, Problem, Time } from './parts/ui.js';

interface Page extends KeyedPage {
  readonly count?: (state: LiveJson) => number;
}

const PAGES: readonly Page[] = [
  { path: '', name: 'Overview', key: 'o' },
  { path: 'executions', name: 'Executions', key: 'e', count: ({ totals }) => totals.running + totals.queued },
  { path: 'failures', name: 'Failures', key: 'f', count: ({ totals }) => totals.failures },
  { path: 'schedules', name: 'Schedules', key: 's' },
  { path: 'tasks', name: 'Tasks', key: 't' },
  { path: 'limits', name: 'Limits', key: 'l', count: ({ totals }) => totals.waiting },
  { path: 'strikes', name: 'Strikes', key: 'x' },
  { path: 'workers', name: 'Workers', key: 'w', count: ({ workers }) => workers.length },
];

export function App() {
  const known = useStore(session);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    loadSession().then(startLive, setError);
  }, []);
  useEffect(() => followKeys(PAGES), []);
  useEffect(() => {
    if (known) document.title = `${known.docket} · docket`;
  }, [known]);
  if (!known) return error ? <Problem error={error} /> : <Loading />;
  return (
    <>
      <Side />
      <Main />
      <Notices />
      <Dialog />
      <Keys pages={PAGES} />
    </>
  );
}

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

function skipToMain(): void {
  document.getElementById('main')?.focus();
}

function Side() {
  const { docket, url, version, isReadOnly } = useStore(session)!;
  const state = useStore(live);
  const { path } = useStore(route);
  const colours = useStore(theme);
  const isAt = (page: string) => (path[0] ?? '') === page || (page === 'executions' && path[0] === 'execution');
  return (
    <div class="side">
      <header class="brand">
        <button type="button" class="button skip" onClick={skipToMain}>
          Skip to the content
        </button>
        <a href={href([])} class="name" title={url}>
          {docket}
        </a>
        <LinkState />
      </header>
      <nav aria-label="Pages">
        {PAGES.map((page) => (
          <a
            key={page.path}
            href={href([page.path].filter(Boolean))}
            aria-current={isAt(page.path) ? 'page' : undefined}
            title={`g ${page.key}`}
          >
            {page.name}
            {page.count && state && <span class="count">{countText(page.count(state))}</span>}
          </a>
        ))}
      </nav>
      <footer>
        <button type="button" class="plain" onClick={toggleTheme}>
          {colours === 'dark' ? 'Light colours' : 'Dark colours'}
        </button>
        <button type="button" class="plain wide-only" onClick={showKeys}>
          Keys <kbd>?</kbd>
        </button>
        <span class="muted">
          docket {version}
          {isReadOnly && ' · read-only'}
        </span>
        <span class="muted wide-only">Times: {ZONE}</span>
      </footer>
    </div>
  );
}

const LINK_TEXT = { connecting: 'connecting', live: 'live', down: 'Redis is down', offline: 'offline' } as const;

function LinkState() {
  const state = useStore(link);
  return <output class={`link link-${state}`}>{LINK_TEXT[state]}</output>;
}

function Main() {
  const at = useStore(route);
  const main = useRef<HTMLElement>(null);
  const place = at.path.join('/');
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [place]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <Banner />
      {pageOf(at)}
    </main>
  );
}

function pageOf({ path, query }: Route): ComponentChild {
  const [page = '', id = ''] = path;
  switch (page) {
    case '':
      return <Overview />;
    case 'executions':
      return <Executions list={id || 'running'} query={query} />;
    case 'execution':
      return <Execution id={id} />;
    case 'failures':
      return id ? <Failure id={id} /> : <Failures query={query} />;
    case 'schedules':
      return <Schedules />;
    case 'tasks':
      return <Tasks query={query} />;
    case 'limits':
      return <Limits />;
    case 'strikes':
      return <Strikes />;
    case 'workers':
      return <Workers />;
    default:
      return <Problem error={new Error('There is no such page.')} />;
  }
}

/** Says on every page that the whole docket is paused, or that what is shown is old. */
function Banner() {
  const state = useStore(live);
  const mayChange = useMayChange();
  const text = outageText(useStore(link), useStore(problem));
  const pauses = state?.pauses.filter(({ task }) => task === null) ?? [];
  return (
    <>
      {text !== null && (
        <p class="callout fail" role="alert">
          <span>
            {text}{' '}
            {state && (
              <>
                What is shown is from <Time at={state.taken} />.{' '}
              </>
            )}
            It goes on by itself.
          </span>
        </p>
      )}
      {pauses.map(({ reason, since }) => (
        <div key={reason} class="callout warn">
          <span>
            The whole docket is paused ({reason}), <Time at={since} />. Nothing more starts.
          </span>
          {mayChange && <Button onClick={() => void act('resume', { task: null, reason })}>Resume</Button>}
        </div>
      ))}
    </>
  );
}

/** Says why what is shown is old; `null` when it is not. Work is safe meanwhile, which is what people want to know first. */
function outageText(state: Link, text: string): string | null {
  switch (state) {
    case 'down':
      return `${text.replace(', and nothing was written', '')}. Workers keep what they have finished and write it when Redis answers again.`;
    case 'offline':
      return 'The server of this page does not answer.';
    case 'connecting':
    case 'live':
      return null;
  }
}
