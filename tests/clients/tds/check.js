// What tedious sees of a server with the answers of tests/tds/tests/support. Arguments: port, authority, TLS mode.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const [port, authority, tls, folder] = process.argv.slice(2);
const { Connection, Request, TYPES, ISOLATION_LEVEL } = createRequire(path.join(folder, 'package.json'))('tedious');
let checks = 0;
const same = (seen, expected, what) => { assert.deepEqual(seen, expected, what); checks += 1; };

function connect(password = 'secret') {
    const encrypt = { none: false, on: true, strict: 'strict' }[tls];
    const connection = new Connection({
        server: 'localhost',
        authentication: { type: 'default', options: { userName: 'etl', password } },
        options: {
            port: Number(port), database: 'MES', encrypt, connectTimeout: 20000, requestTimeout: 60000, useUTC: true,
            serverName: 'localhost', cryptoCredentialsDetails: { ca: fs.readFileSync(authority) },
            appName: 'tedious', readOnlyIntent: true,
        },
    });
    return new Promise((resolve, reject) => {
        connection.connect((error) => (error ? reject(error) : resolve(connection)));
    });
}

// Runs a statement in one of the ways that a connection has, and gives its rows.
function run(connection, sql, { parameters = [], by = 'execSql', after = () => {} } = {}) {
    return new Promise((resolve, reject) => {
        const rows = [];
        const request = new Request(sql, (error, count) => (error ? reject(error) : resolve({ rows, count })));
        request.on('row', (columns) => rows.push(columns.map((column) => column.value)));
        for (const [name, type, value, options] of parameters) request.addParameter(name, type, value, options);
        connection[by](request);
        after(connection, request);
    });
}

async function refusesAWrongPassword() {
    await assert.rejects(connect('wrong'), (error) => error.message.includes("Login failed for user 'etl'."));
    checks += 1;
}

async function readsEveryType(connection) {
    const { rows: [row] } = await run(connection, 'values', { by: 'execSqlBatch' });
    const day = (text) => new Date(text).getTime();
    const expected = [
        true, 255, -32768, 2147483647, '-9223372036854775808', 0.5, 1e100, -1.2345678901234568e27, 123.45,
        -922337203685477.6, 214748.3647, day('2025-03-30T01:30:00.997Z'), day('2025-03-30T01:30:00Z'),
        day('2025-03-30T00:00:00Z'), day('1970-01-01T01:30:00.123Z'), day('2025-03-30T01:30:00.123Z'),
        day('2025-03-29T23:30:00.123Z'), 'Fräse ', 'Fräse €', '旋盤', 'Łódź', 'Fräse 旋盤', 'ü'.repeat(20000),
        'Fräse ', 'Fräse 旋盤 😀', '旋'.repeat(20000), '01020000', 'dead', '07'.repeat(20000),
        '6F9619FF-8B86-D011-B42D-00C04FC964FF', '<a>ü</a>', 'Fräse', '旋盤', '010203', 12.5, '00000000000007d1',
    ];
    const plain = (value) =>
        Buffer.isBuffer(value) ? value.toString('hex') : value instanceof Date ? value.getTime() : value;
    // Decimals are floats to this client, and it rounds as it computes.
    const rounded = (value) => (Math.abs(value) > 2 ** 53 ? Number(value.toPrecision(15)) : value);
    const seen = (value) => (typeof value === 'number' && value !== 1e100 ? rounded(value) : value);
    row.forEach((value, at) => same(seen(plain(value)), seen(expected[at]), `value ${at}`));
    same(row.length, expected.length, 'columns');
    const { rows: [nulls] } = await run(connection, 'nulls', { by: 'execSqlBatch' });
    same(nulls.map((value) => value === null), expected.map((_, at) => at < expected.length - 1), 'nulls');
}

async function sendsEveryType(connection) {
    const moment = new Date('2025-03-30T01:30:00.123Z');
    for (const [type, value, options] of [
        [TYPES.Bit, true], [TYPES.TinyInt, 255], [TYPES.SmallInt, -3], [TYPES.Int, 7], [TYPES.BigInt, '1099511627776'],
        [TYPES.Real, 0.5], [TYPES.Float, 1.5], [TYPES.Decimal, 12.5, { precision: 10, scale: 2 }],
        [TYPES.Numeric, -12.5, { precision: 10, scale: 2 }], [TYPES.Money, 12.5], [TYPES.SmallMoney, 12.5],
        [TYPES.VarChar, 'Fräse'], [TYPES.NVarChar, 'Fräse 旋盤'], [TYPES.NVarChar, 'x'.repeat(20000)],
        [TYPES.Char, 'abc'], [TYPES.NChar, 'abc'], [TYPES.Text, 'Fräse'],
        [TYPES.VarBinary, Buffer.from([1, 2])], [TYPES.Binary, Buffer.from([1, 2])],
        [TYPES.UniqueIdentifier, '6F9619FF-8B86-D011-B42D-00C04FC964FF'],
        [TYPES.DateTime, moment], [TYPES.SmallDateTime, new Date('2025-03-30T01:30:00Z')], [TYPES.DateTime2, moment],
        [TYPES.DateTimeOffset, moment], [TYPES.Date, new Date('2025-03-30T00:00:00Z')],
        [TYPES.Int, null], [TYPES.NVarChar, null], [TYPES.DateTime2, null],
    ]) {
        const { rows: [[seen]] } = await run(connection, 'select @p', { parameters: [['p', type, value, options]] });
        same(seen, value, type.name);
    }
}

async function preparesStatements(connection) {
    const request = new Request('select @p', () => {});
    request.addParameter('p', TYPES.Int);
    const rows = [];
    request.on('row', ([column]) => rows.push(column.value));
    await new Promise((resolve) => { request.once('prepared', resolve); connection.prepare(request); });
    for (const value of [1, 2]) {
        await new Promise((resolve, reject) => {
            request.callback = request.userCallback = (error) => (error ? reject(error) : resolve());
            connection.execute(request, { p: value });
        });
    }
    same(rows, [1, 2], 'prepared');
    await new Promise((resolve) => {
        request.callback = request.userCallback = () => resolve();
        connection.unprepare(request);
    });
}

async function failsAndGoesOn(connection) {
    for (const by of ['execSql', 'execSqlBatch']) {
        await assert.rejects(run(connection, 'fail', { by }), (error) => {
            same([error.number, error.class, error.lineNumber, error.message],
                [208, 16, 3, "Invalid object name 'dbo.none'."], by);
            return true;
        });
    }
    const { rows } = await run(connection, 'two results', { by: 'execSqlBatch' });
    same(rows, [[1], [2]], 'two results');
    const many = await run(connection, 'rows 20000', { by: 'execSqlBatch' });
    same([many.rows.length, many.rows.at(-1)], [20000, [20000, 'x'.repeat(200)]], 'many rows');
}

async function givesUp(connection) {
    for (const sql of ['wait', 'rows 10 then wait']) {
        const cancels = (connection) => setTimeout(() => connection.cancel(), 100);
        await assert.rejects(run(connection, sql, { after: cancels }), (error) => error.code === 'ECANCEL');
        same((await run(connection, 'two results')).rows, [[1], [2]], 'after giving up');
    }
}

async function usesTransactions(connection) {
    const call = (name, ...rest) => new Promise((resolve, reject) => {
        connection[name]((error) => (error ? reject(error) : resolve()), ...rest);
    });
    await call('beginTransaction', '', ISOLATION_LEVEL.SNAPSHOT);
    await call('commitTransaction');
    await call('beginTransaction');
    await call('rollbackTransaction');
    await new Promise((resolve, reject) => connection.reset((error) => (error ? reject(error) : resolve())));
    same((await run(connection, 'two results')).rows, [[1], [2]], 'after a reset');
}

async function describesAStatement(connection) {
    const parameters = [['tsql', TYPES.NVarChar, 'select @n'], ['params', TYPES.NVarChar, '@n int']];
    const { rows } = await run(connection, 'sp_describe_first_result_set', { parameters, by: 'callProcedure' });
    same(rows, [[false, 1, 'n', true, 56, 'int']], 'the description');
}

async function main() {
    await refusesAWrongPassword();
    const connection = await connect();
    for (const part of [
        readsEveryType, sendsEveryType, preparesStatements, failsAndGoesOn, givesUp, usesTransactions, describesAStatement,
    ]) await part(connection);
    connection.close();
    console.log(`tedious: ${checks} checks`);
}

main().catch((error) => { console.error(error); process.exit(1); });
