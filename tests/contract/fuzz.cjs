// SPDX-License-Identifier: Apache-2.0
//
// Sends documents to a running daemon and compares its verdict with ajv's: fuzz.cjs OPENAPI
// URL CASES [SEED]. The token is in the environment (TOKEN). All calls are dry runs or change
// nothing anyway. Ends with 1 at the first difference, which fast-check makes small:
//
//   accepted though invalid · refused though valid · a status >= 500 · an answer that hangs
//
// A valid document may still be refused for what no schema can say.
'use strict';
const fs = require('fs');
const http = require('http');
const fc = require('fast-check');
const { validator } = require('./schemas.cjs');
const { Generator, documents } = require('./generate.cjs');

const [contractPath, base, cases, seedText] = process.argv.slice(2);
const contract = JSON.parse(fs.readFileSync(contractPath, 'utf8'));
const validate = validator(contract);
const generator = new Generator(contract);
const seed = Number(seedText ?? Date.now() % 2 ** 31);
const agent = new http.Agent({ keepAlive: true });
const HANG_MS = 10000;

// Codes of the validator. All others, and these with such a message, are told of what no
// schema says: references, times, networks, patterns, combinations.
const SCHEMA = new Set(['bad_format', 'bad_time', 'duplicate_item', 'missing_key',
    'no_alternative', 'not_allowed', 'out_of_range', 'too_deep', 'unknown_key', 'unsupported',
    'wrong_items', 'wrong_length', 'wrong_members', 'wrong_type']);
const SEMANTIC = [/^out_of_range (lies in the past|must be at most 1000000)/,
    /^wrong_length (an empty value would match|must have at most \d+ bytes, has)/,
    /^missing_key (.* is required\W+\w|an override has a mode|name a log)/,
    /^not_allowed (write "\w+" or "\w+", not both|"\w+" has (no|a) meaning beside)/,
    /^not_allowed (what is in flight has no|who a user is becomes|it is the share of)/,
    /^not_allowed (no folder|must be an event's type|"incident" tells it already)/];

// What {…} of a path stands for, and what a merge patch is applied to.
const NAMES = { '{name}': 'kept', '{set}': 'fuzz', '{id}': null };

function json(method, path, text) {
    return new Promise((resolve, reject) => {
        const begun = Date.now();
        const request = http.request(base + path, { method, agent, timeout: HANG_MS, headers: {
            Authorization: `Bearer ${process.env.TOKEN}`, 'Content-Type': 'application/json',
            ...(text === undefined ? {} : { 'Content-Length': Buffer.byteLength(text) }) } },
        (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => resolve({ status: response.statusCode,
                body: JSON.parse(Buffer.concat(parts).toString() || 'null'),
                ms: Date.now() - begun }));
        });
        request.on('timeout', () => request.destroy(new Error(`no answer in ${HANG_MS} ms`)));
        request.on('error', reject);
        request.end(text);
    });
}

function has(operation, name) {
    return operation.parameters.some((one) => (one.$ref ?? '').endsWith(`/${name}`));
}

// [{ method, path, schema, patched }]: every operation that takes JSON and changes nothing.
function targets() {
    const out = [];
    for (const [template, methods] of Object.entries(contract.paths)) {
        for (const [method, operation] of Object.entries(methods)) {
            const media = operation.requestBody?.content['application/json'];
            const harmless = has(operation, 'dry_run')
                || !JSON.stringify(operation.responses).includes('Shield-Changed');
            const path = Object.entries(NAMES).reduce((at, [from, to]) =>
                (to === null ? at : at.replace(from, to)), template);
            if (media !== undefined && harmless && !path.includes('{')
                && operation['x-role'] !== 'none') {
                out.push({ method: method.toUpperCase(), template, schema: media.schema,
                    path: path + (has(operation, 'dry_run') ? '?dry_run=true' : '') });
            }
        }
    }
    return out;
}

function merged(document, patch) {
    if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) {
        return patch;
    }
    const out = document !== null && typeof document === 'object' && !Array.isArray(document)
        ? { ...document } : {};
    for (const [name, value] of Object.entries(patch)) {
        if (value === null) {
            delete out[name];
        } else {
            out[name] = merged(out[name], value);
        }
    }
    return out;
}

// A merge patch is judged by what comes out of it.
async function prepare(target) {
    if (target.method !== 'PATCH' || !(target.schema.$ref ?? '').endsWith('/MergePatch')) {
        return { ...target, judged: target.schema, of: (body) => body };
    }
    const operation = contract.paths[target.template].get;
    const whole = operation.responses[200].content['application/json'].schema;
    const before = (await json('GET', `${target.path.split('?')[0]}?view=spec`)).body;
    return { ...target, judged: whole, schema: whole,
        of: (body) => (body !== null && typeof body === 'object' && !Array.isArray(body)
            ? merged(before, body) : body) };
}

const tally = { accepted: 0, refused: 0, semantic: 0, slowest: 0 };

async function judge(target, body) {
    const text = JSON.stringify(body);
    const wrong = body === null || typeof body !== 'object' || Array.isArray(body)
        ? 'no object' : validate(target.judged, target.of(body));
    const answer = await json(target.method, target.path, text);
    tally.slowest = Math.max(tally.slowest, answer.ms);
    const told = `${target.method} ${target.path} ${text}\nanswered ${answer.status} `
        + JSON.stringify(answer.body).slice(0, 2000);
    if (answer.status >= 500) {
        throw new Error(`a server error: ${told}`);
    }
    if (answer.status < 300 && wrong !== '') {
        throw new Error(`accepted though invalid (${wrong}): ${told}`);
    }
    if (answer.status < 300) {
        tally.accepted += 1;
    } else if (wrong !== '') {
        tally.refused += 1;
    } else {
        const others = answer.status === 422 ? answer.body.errors
            .filter((error) => SCHEMA.has(error.code) && !SEMANTIC.some((known) =>
                known.test(`${error.code} ${error.message}`))) : [];
        if (others.length > 0 || ![404, 409, 412, 422].includes(answer.status)) {
            throw new Error(`refused though valid: ${told}`);
        }
        tally.semantic += 1;
    }
}

async function main() {
    const all = await Promise.all(targets().map(prepare));
    const one = fc.oneof(...all.map((target) =>
        documents(generator, target.schema).map((body) => [target, body])));
    const shown = fc.asyncProperty(one, async ([target, body]) => judge(target, body));
    const details = await fc.check(shown, { numRuns: Number(cases), seed });
    console.log(`seed ${seed}: ${details.numRuns} cases over ${all.length} operations, `
        + `${tally.accepted} accepted, ${tally.refused} refused, ${tally.semantic} refused for `
        + `what no schema says, slowest answer ${tally.slowest} ms`);
    if (details.failed) {
        console.log(details.errorInstance?.message ?? details.error);
    }
    agent.destroy();
    process.exitCode = details.failed ? 1 : 0;
}

main();
