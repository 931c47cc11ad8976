/** Dark or light: as the system says, unless the person has chosen. */
import { Store } from './store.js';

type Theme = 'light' | 'dark';
const NAME = 'docket-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

export const theme = new Store<Theme>(presentTheme());

function presentTheme(): Theme {
  const chosen = readChoice();
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return system.matches ? 'dark' : 'light';
}

function readChoice(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null; // storage is off
  }
}

export function applyTheme(): void {
  theme.set(presentTheme());
  document.documentElement.dataset.theme = theme.value;
}

export function toggleTheme(): void {
  try {
    localStorage.setItem(NAME, theme.value === 'dark' ? 'light' : 'dark');
  } catch {
    return;
  }
  applyTheme();
}

system.addEventListener('change', applyTheme);
