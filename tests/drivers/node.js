// node-postgres: what a JavaScript application does with a server.
//
//   node node.js URL postgres|tidemark     prints one line per part, and fails when a part is wrong.

const assert = require('node:assert').strict;
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');

const [url, server] = process.argv.slice(2);

async function connected(work, options = {}) {
    const client = new Client({ connectionString: url, ...options });
    await client.connect();
    try {
        return await work(client);
    } finally {
        await client.end();
    }
}

async function fails(code, promise) {
    try {
        await promise;
    } catch (error) {
        assert.equal(error.code, code, error.message);
        return error;
    }
    assert.fail(`nothing failed with ${code}`);
}

const values = [
    ['smallint', 77], ['int', 2147483647], ['bigint', '9223372036854775807'], ['real', 1.5], ['double precision', 2.25],
    ['numeric', '123456789012345678901234567890.5'], ['text', 'naïve ☃ 😀 \' " \\'], ['text', ''], ['varchar', 'abc'], ['boolean', true],
    ['boolean', false], ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], ['jsonb', { a: [1, null, 'x'] }],
    ['timestamptz', new Date('2024-02-29T12:00:00.123Z')], ['bytea', Buffer.from([0, 1, 127, 128, 255])], ['int[]', [1, null, 3]],
    ['text[]', ['a', null, 'q"x', '']],
];

const parts = {
    async parameters(client) {
        for (const binary of [false, true]) {
            for (const [type, value] of values) {
                const text = `SELECT $1::${type} AS v, $1 IS NULL AS n`;
                // The driver decodes binary values as if they were UTF-8: only those without high bytes survive it.
                if (binary && !['smallint', 'boolean', 'varchar'].includes(type)) continue;
                const { rows } = await client.query({ text, values: [value], binary });
                assert.deepEqual(rows, [{ v: value, n: false }], `${type}, binary ${binary}`);
                const none = await client.query({ text, values: [null], binary });
                assert.deepEqual(none.rows, [{ v: null, n: true }]);
            }
        }
        const { rows } = await client.query('SELECT name FROM shop WHERE id = $1 OR name = $2 ORDER BY id', [1, 'two']);
        assert.deepEqual(rows, [{ name: 'one' }, { name: 'two' }]);
    },

    async statements(client) {
        for (let n = 0; n < 20; n++) {
            const { rows } = await client.query({ name: 'by id', text: 'SELECT name, $2::int AS n FROM shop WHERE id = $1', values: [(n % 3) + 1, n] });
            assert.deepEqual(rows, [{ name: ['one', 'two', 'three'][n % 3], n }]);
        }
        const changed = await client.query("INSERT INTO shop VALUES (10, 'ten', 1), (11, 'eleven', 2) RETURNING id");
        assert.equal(changed.rowCount, 2);
        assert.equal(changed.command, 'INSERT');
        assert.equal((await client.query('DELETE FROM shop WHERE id >= $1', [10])).rowCount, 2);
        const array = await client.query({ text: 'SELECT id, id, name FROM shop ORDER BY id', rowMode: 'array' });
        assert.deepEqual(array.rows[0], [1, 1, 'one']);
        assert.deepEqual(array.fields.map((field) => [field.name, field.dataTypeID]), [['id', 23], ['id', 23], ['name', 25]]);
        const several = await client.query('SELECT 1 AS a; SELECT 2 AS b');
        assert.deepEqual(several.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
        assert.equal((await client.query('SELECT n FROM generate_series(1, 20000) n')).rows.length, 20000);
        await client.query('');
    },

    async pipelining(client) {
        const answers = await Promise.all([...Array(30).keys()].map((n) => client.query('SELECT $1::int AS n', [n])));
        assert.deepEqual(answers.map((answer) => answer.rows[0].n), [...Array(30).keys()]);
    },

    async transactions(client) {
        await client.query('BEGIN');
        await client.query("INSERT INTO shop VALUES (50, 'fifty', 1)");
        await client.query('ROLLBACK');
        assert.equal((await client.query('SELECT * FROM shop')).rowCount, 3);
        await client.query('BEGIN');
        await fails('22012', client.query('SELECT 1 / 0'));
        await fails('25P02', client.query('SELECT 1'));
        await client.query('ROLLBACK');
        await client.query('BEGIN');
        await client.query("INSERT INTO shop VALUES (51, 'kept', 1)");
        await client.query('COMMIT');
        assert.equal((await client.query('DELETE FROM shop WHERE id = 51')).rowCount, 1);
    },

    async errors(client) {
        await fails('42601', client.query('SELEC 1'));
        await fails('42P01', client.query('SELECT * FROM nosuch WHERE a = $1', [1]));
        await fails('22P02', client.query('SELECT $1::int', ['x']));
        await fails('08P01', client.query('SELECT $1::int, $2::int', [1]));
        const duplicate = await fails('23505', client.query("INSERT INTO shop VALUES (1, 'again', 1)"));
        assert.equal(duplicate.detail, 'Key (id)=(1) already exists.');
        const unknown = await fails('42703', client.query('SELECT id, nosuch FROM shop'));
        assert.equal(unknown.position, '12');
        assert.equal(unknown.severity, 'ERROR');
        assert.deepEqual((await client.query('SELECT 1 AS a')).rows, [{ a: 1 }]);
    },

    async cursors(client) {
        const cursor = client.query(new Cursor('SELECT n FROM generate_series(1, $1::int) n', [250]));
        let seen = 0;
        let rows;
        while ((rows = await cursor.read(100)).length > 0) {
            assert.equal(rows[0].n, seen + 1);
            seen += rows.length;
        }
        assert.equal(seen, 250);
        await cursor.close();
        const early = client.query(new Cursor('SELECT n FROM generate_series(1, 1000) n'));
        assert.equal((await early.read(10)).length, 10);
        await early.close();
        assert.deepEqual((await client.query('SELECT 1 AS a')).rows, [{ a: 1 }]);
    },

    async pools() {
        const pool = new Pool({ connectionString: url, max: 5 });
        const answers = await Promise.all([...Array(40).keys()].map((n) => pool.query('SELECT $1::int + 1 AS n', [n])));
        assert.deepEqual(answers.map((answer) => answer.rows[0].n), [...Array(40).keys()].map((n) => n + 1));
        await pool.end();
    },

    async cancels(client) {
        // The driver has no cancel of its own: another session asks for it, by the number the server gave.
        const slow = client.query('SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13');
        // Waited for from the start: its error may come before the other session has ended.
        const ended = fails('57014', slow);
        await connected((other) => other.query('SELECT pg_cancel_backend($1)', [client.processID]));
        await ended;
        assert.deepEqual((await client.query('SELECT 1 AS a')).rows, [{ a: 1 }]);
        await client.query("SET statement_timeout = '200ms'");
        await fails('57014', client.query('SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13'));
        await client.query('RESET statement_timeout');
    },
};

const tidemarkParts = {
    async subscriptions(client) {
        await connected(async (reader) => {
            const cursor = reader.query(new Cursor('SUBSCRIBE (SELECT id, name FROM shop)'));
            const ids = [];
            for (let n = 0; n < 3; n++) ids.push((await cursor.read(1))[0].id);
            assert.deepEqual(ids.sort(), [1, 2, 3]);
            const next = cursor.read(1);
            await client.query("INSERT INTO shop VALUES (70, 'new', 1)");
            const [row] = await next;
            assert.deepEqual([row.mz_diff, row.id, row.name], ['1', 70, 'new']);
            await client.query('DELETE FROM shop WHERE id = 70');
            assert.equal((await cursor.read(1))[0].mz_diff, '-1');
            await cursor.close();
            assert.deepEqual((await reader.query('SELECT 1 AS a')).rows, [{ a: 1 }]);
        });
        await connected(async (reader) => {
            await reader.query('BEGIN');
            await reader.query('DECLARE c CURSOR FOR SUBSCRIBE shop');
            const { rows } = await reader.query("FETCH ALL c WITH (timeout = '20s')");
            assert.equal(rows.length, 3);
            await reader.query('COMMIT');
        });
    },
};

async function main() {
    let broken = 0;
    await connected(async (client) => {
        await client.query('DROP TABLE IF EXISTS shop');
        await client.query('CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric)');
        await client.query("INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)");
        const chosen = server === 'tidemark' ? { ...parts, ...tidemarkParts } : parts;
        for (const [name, part] of Object.entries(chosen)) {
            try {
                await connected(part);
                console.log(`ok ${name}`);
            } catch (error) {
                broken += 1;
                console.log(`BROKEN ${name}: ${error.stack}`);
            }
        }
        await client.query('DROP TABLE shop');
    });
    process.exit(broken > 0 ? 1 : 0);
}

main().catch((error) => {
    console.log(`BROKEN: ${error.stack}`);
    process.exit(1);
});
