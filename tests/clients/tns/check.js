// Oracle's thin driver for Node against a server with the canned answers of the tests.
// Argument: a JSON object with host, port, user, password, service, sid, profile, and for TLS: wallet.
// It wants a client's key in a wallet, so that what vouches for the server comes by NODE_EXTRA_CA_CERTS.

'use strict';
const assert = require('node:assert/strict');
const oracledb = require(process.argv[3]);

const how = JSON.parse(process.argv[2]);

function where({ service, sid }) {
  const name = service ? `(SERVICE_NAME=${service})` : `(SID=${sid})`;
  const protocol = how.wallet ? 'tcps' : 'tcp';
  const security = how.wallet ? '(SECURITY=(SSL_SERVER_DN_MATCH=ON))' : '';
  const sdu = how.sdu ? `(SDU=${how.sdu})` : '';
  return `(DESCRIPTION=${sdu}(ADDRESS=(PROTOCOL=${protocol})(HOST=${how.wallet ? 'localhost' : how.host})` +
    `(PORT=${how.port}))(CONNECT_DATA=${name})${security})`;
}

function connect({ user = how.user, password = how.password, service, sid } = {}) {
  const name = service || sid ? { service, sid } : { service: how.service };
  return oracledb.getConnection({ user, password, connectString: where(name) });
}

async function within(action) {
  const connection = await connect();
  try {
    return await action(connection);
  } finally {
    await connection.close();
  }
}

function numbers(count) {
  return Array.from({ length: count }, (_, n) =>
    [n, `group ${Math.floor(n / 4)}`, n % 3 === 0 ? null : `s${Math.floor(n / 2)}`]);
}

const text = { type: oracledb.DB_TYPE_VARCHAR };
const longText = 'Zeile ä😀 '.repeat(5000);

// The name of a check says what is true.
const checks = {
  async 'a session opens by service and by SID'() {
    await within(async (connection) => {
      assert.equal(connection.oracleServerVersionString.split('.')[0], how.profile);
      assert.equal(connection.serviceName, how.service);
      await connection.ping();
    });
    await (await connect({ sid: how.sid })).close();
  },

  async 'logins and services that do not exist are refused'() {
    await assert.rejects(connect({ password: 'wrong' }), /ORA-01017/);
    await assert.rejects(connect({ user: 'nobody' }), /ORA-01017/);
    await assert.rejects(connect({ user: 'locked' }), /ORA-28000/);
    await assert.rejects(connect({ service: 'elsewhere' }), /NJS-518/);
    await assert.rejects(connect({ sid: 'elsewhere' }), /NJS-519/);
  },

  async 'every type comes with its value'() {
    const { rows } = await within((connection) => connection.execute('SELECT * FROM types', [], {
      fetchTypeHandler: ({ dbType }) => (dbType === oracledb.DB_TYPE_NUMBER ? { type: oracledb.STRING } : undefined),
    }));
    const [id, amount, any, ratio, single, double, name, nameN, code, codeN, bits] = rows[0];
    assert.deepEqual([id, amount, ratio], ['7', '-12345678901234567890123456789.000000001', '2.5']);
    assert.equal(Number(any), 0.1);
    assert.deepEqual([single, double], [1.5, -2.25]);
    assert.deepEqual([name, nameN, code, codeN], ['Müller 😀', 'Žluťoučký 😀', 'ab   ', 'äb   ']);
    assert.deepEqual(bits, Buffer.from([0, 255, 16]));
    assert.equal(rows[0][14].toISOString(), '2025-03-29T23:30:59.500Z');
    assert.equal(rows[0][17], 'AAAShEAAGAAAAFXAAB');
    assert.ok(rows[1].every((value) => value === null));
  },

  async 'binds come back'() {
    await within(async (connection) => {
      for (const [val, type] of [
        ['Müller', oracledb.DB_TYPE_VARCHAR],
        ['Žluť', oracledb.DB_TYPE_NVARCHAR],
        [-12.5, oracledb.DB_TYPE_NUMBER],
        [1.5, oracledb.DB_TYPE_BINARY_DOUBLE],
        [Buffer.from([0, 255]), oracledb.DB_TYPE_RAW],
        [new Date('2025-03-30T01:30:59.123Z'), oracledb.DB_TYPE_TIMESTAMP_TZ],
        [null, oracledb.DB_TYPE_VARCHAR],
      ]) {
        const { rows } = await connection.execute('SELECT :1 FROM dual', [{ val, type }]);
        assert.deepEqual(rows, [[val]]);
      }
    });
  },

  async 'a statement runs again, also with many rows of values'() {
    await within(async (connection) => {
      for (let n = 0; n < 5; n++) {
        const { rows } = await connection.execute('SELECT :n, :s FROM dual', { n, s: `s${n}` });
        assert.deepEqual(rows, [[n, `s${n}`]]);
      }
      const { rowsAffected } = await connection.executeMany('INSERT INTO t VALUES (:1)', [[1], [2], [3]]);
      assert.equal(rowsAffected, 3);
      await connection.commit();
      await connection.rollback();
    });
  },

  async 'errors have number and place'() {
    await within(async (connection) => {
      await assert.rejects(connection.execute('SELECT * FROM missing'), (error) => {
        assert.deepEqual([error.errorNum, error.offset], [942, 14]);
        return true;
      });
      await assert.rejects(connection.execute('SELECT * FROM later_error'), /ORA-01476/);
      assert.deepEqual((await connection.execute('SELECT 1 FROM dual')).rows, [[1]]);
    });
  },

  async 'no rows, and nulls known from the description'() {
    await within(async (connection) => {
      assert.deepEqual((await connection.execute('SELECT * FROM nothing')).rows, []);
      assert.deepEqual((await connection.execute('SELECT * FROM null_by_description')).rows, [[null, 1]]);
    });
  },

  async 'many rows come in any array size'() {
    await within(async (connection) => {
      for (const fetchArraySize of [3, 100, 7000]) {
        const { rows } = await connection.execute('SELECT * FROM numbers FETCH 6000', [], { fetchArraySize });
        assert.deepEqual(rows, numbers(6000));
      }
    });
  },

  async 'LOBs come as locators and as values'() {
    await within(async (connection) => {
      const { rows } = await connection.execute('SELECT * FROM lobs');
      assert.equal(await rows[0][1].getData(), longText);
      assert.equal((await rows[0][2].getData()).length, 100000);
      assert.deepEqual(rows[1].slice(1), [null, null, null]);
    });
    await within(async (connection) => {
      const fetchTypeHandler = ({ dbType }) => {
        if (dbType === oracledb.DB_TYPE_BLOB) return { type: oracledb.BUFFER };
        if (dbType === oracledb.DB_TYPE_CLOB || dbType === oracledb.DB_TYPE_NCLOB) return { type: oracledb.STRING };
      };
      const { rows } = await connection.execute('SELECT * FROM lobs', [], { fetchTypeHandler });
      assert.equal(rows[0][1], longText);
      assert.deepEqual(rows[2], [3, 'short', Buffer.from([1, 2, 3]), 'n']);
    });
  },

  async 'long columns come in full'() {
    const { rows } = await within((connection) => connection.execute('SELECT * FROM longs'));
    assert.deepEqual(rows, [[1, longText, 'v'.repeat(4000)], [2, null, null]]);
  },

  async 'a call that takes too long is given up and the session lives'() {
    await within(async (connection) => {
      connection.callTimeout = 300;
      await assert.rejects(connection.execute('SELECT * FROM forever'), /NJS-123/);
      connection.callTimeout = 0;
      assert.deepEqual((await connection.execute('SELECT 1 FROM dual')).rows, [[1]]);
    });
  },

  async 'a block runs with binds'() {
    await within((connection) => connection.execute('BEGIN nothing(:a, :b); END;', { a: 1, b: { val: 'x', ...text } }));
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (error) {
      console.error(`node: ${name}: ${error.stack}`);
      process.exit(1);
    }
  }
  console.log(`${Object.keys(checks).length} checks`);
})();
