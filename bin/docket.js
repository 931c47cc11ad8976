#!/usr/bin/env node
import { runDocketCommand } from '../dist/src/cli/docket.js';

await runDocketCommand(process.argv);
