// SPDX-License-Identifier: Apache-2.0
//
// The contract's schemas as ajv judges them, for check.cjs and fuzz.cjs.
'use strict';
const Ajv = require('ajv/dist/2020').default;
const addFormats = require('ajv-formats').default;

// Keywords without meaning here; "components" is where the references lead.
const OTHERS = ['components', 'x-message', 'x-unsupported'];

// A function (schema, value) that returns '' for a valid value, else what is wrong.
function validator(contract) {
    const ajv = new Ajv({ allErrors: true, strict: true, strictTypes: false,
        strictRequired: false, allowUnionTypes: true, discriminator: false });
    addFormats(ajv, ['date-time']);
    OTHERS.forEach((keyword) => ajv.addKeyword({ keyword }));
    ajv.addSchema({ $id: 'contract', components: { schemas: contract.components.schemas } },
        'contract');
    const compiled = new Map();
    return (schema, value) => {
        if (!compiled.has(schema)) {
            compiled.set(schema, ajv.compile(relocated(schema)));
        }
        const check = compiled.get(schema);
        return check(value) ? '' : ajv.errorsText(check.errors, { separator: '; ' });
    };
}

// The same schema, its references led into the contract.
function relocated(schema) {
    return JSON.parse(JSON.stringify(schema, (key, value) =>
        key === '$ref' ? value.replace(/^#/, 'contract#') : value));
}

module.exports = { validator };
