// SPDX-License-Identifier: Apache-2.0
//
// redocly's lint of the contract, wherever npm has put it: node lint.cjs OPENAPI. Writes
// redocly's report as JSON.
'use strict';
const path = require('path');
const { spawnSync } = require('child_process');

const home = path.dirname(require.resolve('@redocly/cli/package.json'));
const run = spawnSync(process.execPath, [path.join(home, 'bin', 'cli.js'), 'lint', process.argv[2],
    '--config', path.join(__dirname, 'redocly.yaml'), '--format', 'json', '--max-problems', '1000'],
{ stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, REDOCLY_TELEMETRY: 'off',
    REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' } });
process.exit(run.status ?? 1);
