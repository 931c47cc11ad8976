/**
 * The entry `docket/dashboard`: a web page for operators, as a fetch handler to be mounted in any server. The entries `docket`
 * and `docket/worker` load nothing of it.
 */
export { type DashboardHandler, type DashboardOptions, dashboard } from './server/dashboard.js';
