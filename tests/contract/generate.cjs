// SPDX-License-Identifier: Apache-2.0
//
// Documents for fuzz.cjs: fast-check's arbitraries from the contract's schemas, most of them
// valid, and changes that break some. What a document is worth, ajv alone decides.
'use strict';
const fc = require('fast-check');

// Values that mean something to some member: hosts, paths, networks, lists, times.
const WORDS = ['a.example', '*.example.com', 'A.B:80', '/login', '/a/*/b/**', '/a//b', 'login',
    '203.0.113.7', '203.0.113.0/24', '203.0.113.7/24', '2001:db8::/32', '::1', '10.0.0.0/99',
    '@office', '@nothing', 'country:DE', 'country:de', 'asn:64500', 'POST', 'get', 'client',
    'header:x-key', 'cookie:', 'global', '^/a(b|c)$', '(', 'a*', '401', '4xx', '999',
    '2036-01-31T23:59:59Z', '2001-01-31T23:59:59.999Z', '2036-02-30T00:00:00Z', 'enforce', 'off',
    'text/html; charset=utf-8', 'user-agent', 'gold', 'kept', 'fuzz', '', ' ', 'ä€😀', 'null'];
const MANY = 40; // above every small maxItems

const word = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...WORDS) },
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) });
const scalar = fc.oneof(word, fc.integer({ min: -2, max: 70000 }), fc.boolean(),
    fc.constantFrom(null, 0, 1, 1.5, -1, 4294967295, 4294967296, 1e15));
const anything = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'name', 'in', 'status'), scalar, { maxKeys: 2 }));

class Generator {
    constructor(contract) {
        this.contract = contract;
        this.made = new Map();
    }

    target(reference) {
        return reference.slice(2).split('/').reduce((at, name) => at[name], this.contract);
    }

    of(schema) {
        if (!this.made.has(schema)) {
            this.made.set(schema, this.make(schema));
        }
        return this.made.get(schema);
    }

    make(schema) {
        if (schema === true || schema === undefined) {
            return anything;
        }
        if (schema.$ref !== undefined) {
            return this.of(this.target(schema.$ref));
        }
        if (schema.if !== undefined) {
            return fc.oneof(this.make({ ...schema.if, ...schema.then }), this.of(schema.else));
        }
        if (schema.const !== undefined || schema.enum !== undefined) {
            return fc.constantFrom(...(schema.enum ?? [schema.const]));
        }
        const types = [schema.type ?? 'string'].flat();
        return fc.oneof(...types.map((type) => this.typed(type, schema)));
    }

    typed(type, schema) {
        switch (type) {
        case 'object':
            return this.object(schema);
        case 'array':
            return fc.array(this.of(schema.items), {
                minLength: schema.minItems ?? 0, maxLength: Math.max(schema.minItems ?? 0, 3) });
        case 'integer':
        case 'number':
            return number(schema);
        case 'boolean':
            return fc.boolean();
        case 'null':
            return fc.constant(null);
        default:
            return text(schema);
        }
    }

    object(schema) {
        const members = Object.entries(schema.properties ?? {});
        const exactlyOne = schema.maxProperties === 1 && members.length > 0;
        if (exactlyOne) {
            return fc.oneof(...members.map(([name, member]) =>
                this.of(member).map((value) => ({ [name]: value }))));
        }
        const record = Object.fromEntries(members.map(([name, member]) =>
            [name, this.of(member)]));
        const own = fc.record(record, { requiredKeys: schema.required ?? [] });
        if (typeof schema.additionalProperties !== 'object') {
            return own;
        }
        const names = schema.propertyNames?.pattern === undefined
            ? fc.constantFrom('a', 'b-1', 'x.y') : fc.constantFrom('team', 'a/b', 'x-1');
        const more = fc.dictionary(names, this.of(schema.additionalProperties),
            { minKeys: schema.minProperties ?? 0, maxKeys: 3 });
        return fc.tuple(own, more).map(([some, others]) => ({ ...others, ...some }));
    }
}

function number(schema) {
    const min = schema.minimum ?? 0;
    const max = schema.maximum ?? 1000000;
    return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max: Math.min(max, min + 100) }),
        fc.integer({ min, max: Math.min(max, 2 ** 52) }));
}

function text(schema) {
    if (schema.format === 'date-time') {
        return fc.constantFrom('2036-01-31T23:59:59Z', '2036-01-31T23:59:59.123+01:00',
            '2001-01-01T00:00:00Z');
    }
    if (schema.pattern !== undefined) {
        return fc.oneof(
            { weight: 9, arbitrary: fc.stringMatching(new RegExp(schema.pattern)) },
            { weight: 1, arbitrary: word });
    }
    return word.map((value) => value.padEnd(schema.minLength ?? 0, 'x')
        .slice(0, schema.maxLength));
}

// Every place in a document: [path, …].
function places(value, path = []) {
    const here = [path];
    if (value !== null && typeof value === 'object') {
        Object.keys(value).forEach((key) => here.push(...places(value[key], [...path, key])));
    }
    return here;
}

function changeAt(document, path, change) {
    if (path.length === 0) {
        return change(document);
    }
    const copy = Array.isArray(document) ? [...document] : { ...document };
    const changed = changeAt(copy[path[0]], path.slice(1), change);
    if (changed !== undefined) {
        copy[path[0]] = changed;
    } else if (Array.isArray(copy)) {
        copy.splice(Number(path[0]), 1);
    } else {
        delete copy[path[0]];
    }
    return copy;
}

const CHANGES = {
    replace: (value, other) => other,
    remove: () => undefined,
    add: (value, other) => (value !== null && typeof value === 'object' && !Array.isArray(value)
        ? { ...value, methos: other } : other),
    repeat: (value) => (Array.isArray(value) && value.length > 0
        ? Array.from({ length: MANY }, (_, i) => value[i % value.length]) : value),
    lengthen: (value) => (typeof value === 'string' ? value.padEnd(5000, 'y') : value),
    nudge: (value) => (typeof value === 'number' ? value + 1 : value),
    lower: (value) => (typeof value === 'number' ? value - 1 : value),
};

const change = fc.record({ where: fc.nat(), what: fc.constantFrom(...Object.keys(CHANGES)),
    other: anything });

// A document of the schema, with up to two changes; half of them are left as they are.
function documents(generator, schema) {
    const changes = fc.oneof(fc.constant([]), fc.array(change, { minLength: 1, maxLength: 2 }));
    return fc.tuple(generator.of(schema), changes).map(([document, made]) =>
        made.reduce((at, { where, what, other }) => {
            const all = places(at);
            return changeAt(at, all[where % all.length],
                (value) => CHANGES[what](value, other)) ?? null;
        }, document));
}

module.exports = { Generator, documents };
