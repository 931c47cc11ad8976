#!/usr/bin/env node
import { runWorkerCommand } from '../dist/src/cli/worker.js';

await runWorkerCommand(process.argv);
