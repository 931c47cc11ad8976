/**
 * The entry point `docket/dashboard`: a web page for operators, as a fetch handler for any server. The entry points `docket` and
 * `docket/worker` do not load it.
 */
export { type DashboardHandler, type DashboardOptions, dashboard } from './server/dashboard.js';
