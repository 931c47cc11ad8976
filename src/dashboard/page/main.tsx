import { render } from 'preact';
import { App } from './app.js';
import { applyTheme } from './lib/theme.js';

applyTheme();
render(<App />, document.getElementById('app')!);
