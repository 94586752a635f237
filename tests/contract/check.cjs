// SPDX-License-Identifier: Apache-2.0
//
// Holds answers of the daemon to its contract, with ajv as the judge: status, media type,
// headers and body. Usage: node check.cjs OPENAPI. Reads lines of JSON
//   {"method": "get", "path": "/v1/policies/{name}", "status": 200,
//    "headers": {"content-type": "…"}, "body": "…"}
// (path: as the contract has it; names of headers in lower case) and answers each with one
// line: nothing, or what is wrong.
'use strict';
const fs = require('fs');
const readline = require('readline');
const { validator } = require('./schemas.cjs');

const contract = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const validate = validator(contract);

// Of HTTP itself, not of the resource.
const TRANSPORT = new Set(['connection', 'content-length', 'transfer-encoding', 'content-type', 'date']);

function resolve(object) {
    if (object === undefined || object.$ref === undefined) {
        return object;
    }
    return object.$ref.slice(2).split('/').reduce((at, name) => at[name], contract);
}

// Headers are text; a schema of another type means what the text reads as.
function valueOf(text, schema) {
    return ['integer', 'boolean'].includes(schema.type) && /^(-?\d+|true|false)$/.test(text)
        ? JSON.parse(text) : text;
}

function headerProblem(response, headers) {
    const documented = new Map(Object.entries(response.headers ?? {})
        .map(([name, header]) => [name.toLowerCase(), resolve(header)]));
    for (const [name, header] of documented) {
        if (headers[name] === undefined && header.required) {
            return `the header ${name} is missing`;
        }
    }
    for (const [name, text] of Object.entries(headers)) {
        const header = documented.get(name);
        if (header === undefined && !TRANSPORT.has(name)) {
            return `the header ${name} is not documented`;
        }
        const wrong = header && validate(header.schema, valueOf(text, header.schema));
        if (wrong) {
            return `the header ${name}: "${text}" ${wrong}`;
        }
    }
    return '';
}

function documentsOf(type, body) {
    if (type === 'application/x-ndjson') {
        return body.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
    }
    return [type.endsWith('json') ? JSON.parse(body) : body];
}

function bodyProblem(response, type, body) {
    if (response.content === undefined) {
        return type !== '' || body !== '' ? 'no body is documented' : '';
    }
    const media = response.content[type];
    if (media === undefined) {
        return `the media type "${type}" is not documented`;
    }
    for (const document of documentsOf(type, body)) {
        const wrong = validate(media.schema, document);
        if (wrong) {
            return wrong;
        }
    }
    return '';
}

function problem(exchange) {
    const operation = (contract.paths[exchange.path] ?? {})[exchange.method];
    const response = resolve(((operation ?? {}).responses ?? {})[exchange.status]);
    if (response === undefined) {
        return `the status ${exchange.status} is not documented`;
    }
    const type = (exchange.headers['content-type'] ?? '').split(';')[0].trim();
    return headerProblem(response, exchange.headers)
        || bodyProblem(response, type, exchange.body);
}

readline.createInterface({ input: process.stdin, crlfDelay: Infinity }).on('line', (line) => {
    let answer;
    try {
        answer = problem(JSON.parse(line));
    } catch (error) {
        answer = String(error);
    }
    process.stdout.write(`${answer.replaceAll('\n', ' ')}\n`);
});
