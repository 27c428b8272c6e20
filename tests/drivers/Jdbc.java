// The PostgreSQL JDBC driver: what a Java application does with a server.
//
//   java -cp DRIVER Jdbc.java URL postgres|tidemark     prints one line per part, and fails when a part is wrong.

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;

class Jdbc {
    static String url;

    interface Part {
        void run(Connection connection) throws Exception;
    }

    static void same(Object found, Object expected, String what) {
        if (!Objects.deepEquals(found, expected)) throw new AssertionError(what + ": found " + found + ", expected " + expected);
    }

    static SQLException fails(String code, Part work, Connection connection) throws Exception {
        try {
            work.run(connection);
        } catch (SQLException problem) {
            same(problem.getSQLState(), code, problem.getMessage());
            return problem;
        }
        throw new AssertionError("nothing failed with " + code);
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static List<List<Object>> rows(ResultSet result) throws SQLException {
        var all = new ArrayList<List<Object>>();
        int width = result.getMetaData().getColumnCount();
        while (result.next()) {
            var row = new ArrayList<Object>();
            for (int column = 1; column <= width; column++) row.add(result.getObject(column));
            all.add(row);
        }
        return all;
    }

    static List<List<Object>> query(Connection connection, String sql, Object... arguments) throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < arguments.length; n++) statement.setObject(n + 1, arguments[n]);
            return rows(statement.executeQuery());
        }
    }

    static void parameters(Connection connection) throws Exception {
        var values = new LinkedHashMap<String, Object>();
        values.put("smallint", -32768);
        values.put("int", 2147483647);
        values.put("bigint", Long.MIN_VALUE);
        values.put("real", 1.5f);
        values.put("double precision", 2.25e300);
        values.put("numeric", new BigDecimal("12345678901234567890.000123"));
        values.put("text", "naïve ☃ 😀 ' \" \\");
        values.put("varchar", "");
        values.put("boolean", true);
        values.put("uuid", UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
        values.put("date", java.sql.Date.valueOf("2024-02-29"));
        values.put("timestamp", Timestamp.valueOf("1969-12-31 23:59:59.000001"));
        values.put("bytea", new byte[] {0, 1, 127, -128, -1});
        // From the fifth use on the driver prepares by name and asks for binary: both must be right.
        for (int round = 0; round < 8; round++) {
            for (var entry : values.entrySet()) {
                try (var statement = connection.prepareStatement("SELECT ?::" + entry.getKey() + ", ?::" + entry.getKey() + " IS NULL")) {
                    for (Object value : new Object[] {entry.getValue(), null}) {
                        statement.setObject(1, value);
                        statement.setObject(2, value);
                        var result = statement.executeQuery();
                        result.next();
                        same(result.getObject(1), value, entry.getKey() + " in round " + round);
                        same(result.getBoolean(2), value == null, entry.getKey() + " IS NULL");
                    }
                }
            }
        }
        try (var statement = connection.prepareStatement("SELECT ?::int[], ?::timestamptz, ?::time, ?::jsonb, ?::interval")) {
            for (int round = 0; round < 8; round++) {
                statement.setArray(1, connection.createArrayOf("int4", new Object[] {1, null, 3}));
                statement.setObject(2, OffsetDateTime.parse("2024-02-29T12:00:00Z"));
                statement.setObject(3, LocalTime.parse("23:59:59.999999"));
                statement.setString(4, "{\"a\": [1, null]}");
                statement.setString(5, "1 day 02:03:04");
                var result = statement.executeQuery();
                result.next();
                same(result.getArray(1).getArray(), new Integer[] {1, null, 3}, "int[]");
                same(result.getObject(2, OffsetDateTime.class).toInstant(), Instant.parse("2024-02-29T12:00:00Z"), "timestamptz");
                same(result.getObject(3, LocalTime.class), LocalTime.parse("23:59:59.999999"), "time");
                same(result.getString(4), "{\"a\": [1, null]}", "jsonb");
                same(result.getString(5), "1 day 02:03:04", "interval");
            }
        }
        same(query(connection, "SELECT name FROM shop WHERE id = ? AND name LIKE ?", 1, "o%"), List.of(List.of("one")), "inferred");
    }

    static void statements(Connection connection) throws Exception {
        try (var statement = connection.prepareStatement("SELECT name FROM shop WHERE id = ?")) {
            for (int n = 0; n < 20; n++) {
                statement.setInt(1, n % 3 + 1);
                same(rows(statement.executeQuery()), List.of(List.of(new String[] {"one", "two", "three"}[n % 3])), "prepared " + n);
            }
        }
        try (var statement = connection.prepareStatement("INSERT INTO shop VALUES (?, ?, ?)")) {
            for (int n = 10; n < 20; n++) {
                statement.setInt(1, n);
                statement.setString(2, "n" + n);
                statement.setBigDecimal(3, BigDecimal.valueOf(n));
                statement.addBatch();
            }
            var counts = new int[10];
            Arrays.fill(counts, 1);
            same(statement.executeBatch(), counts, "a batch");
        }
        try (var statement = connection.prepareStatement("INSERT INTO shop (id, name) VALUES (20, 'x')", Statement.RETURN_GENERATED_KEYS)) {
            statement.executeUpdate();
            var keys = statement.getGeneratedKeys();
            keys.next();
            same(keys.getInt("id"), 20, "RETURNING");
        }
        try (var statement = connection.createStatement()) {
            same(statement.executeUpdate("DELETE FROM shop WHERE id >= 10"), 11, "deleted");
            same(statement.execute("SELECT 1; SELECT 2"), true, "two results");
            same(statement.getMoreResults(), true, "the second");
            same(rows(statement.getResultSet()), List.of(List.of(2)), "the second's rows");
        }
        var meta = connection.prepareStatement("SELECT id, name, price, count(*) OVER () FROM shop").getMetaData();
        same(List.of(meta.getColumnName(1), meta.getColumnTypeName(1), meta.getColumnTypeName(2), meta.getColumnTypeName(3), meta.getColumnTypeName(4)),
            List.of("id", "int4", "text", "numeric", "int8"), "metadata");
    }

    static void transactions(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        execute(connection, "INSERT INTO shop VALUES (50, 'fifty', 1)");
        connection.rollback();
        same(query(connection, "SELECT count(*) FROM shop"), List.of(List.of(3L)), "rolled back");
        fails("22012", c -> query(c, "SELECT 1 / 0"), connection);
        fails("25P02", c -> query(c, "SELECT 1"), connection);
        connection.rollback();
        connection.commit();
        connection.setReadOnly(true);
        same(query(connection, "SELECT count(*) FROM shop"), List.of(List.of(3L)), "read only");
        fails("25006", c -> execute(c, "DELETE FROM shop"), connection);
        connection.rollback();
        connection.setReadOnly(false);
        connection.setAutoCommit(true);
        same(connection.isValid(5), true, "valid");
        connection.getTransactionIsolation();
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    }

    static void errors(Connection connection) throws Exception {
        for (var one : new String[][] {{"42601", "SELEC 1"}, {"42P01", "SELECT * FROM nosuch"}, {"42703", "SELECT nosuch FROM shop"}, {"22012", "SELECT id / 0 FROM shop"}, {"22P02", "SELECT 'x'::int"}, {"23502", "INSERT INTO shop VALUES (9, NULL, 1)"}}) {
            fails(one[0], c -> query(c, one[1]), connection);
        }
        var duplicate = (PSQLException) fails("23505", c -> execute(c, "INSERT INTO shop VALUES (1, 'again', 1)"), connection);
        same(duplicate.getServerErrorMessage().getDetail(), "Key (id)=(1) already exists.", "detail");
        same(duplicate.getServerErrorMessage().getConstraint(), "shop_pkey", "constraint");
        var unknown = (PSQLException) fails("42703", c -> execute(c, "SELECT id, nosuch FROM shop"), connection);
        same(unknown.getServerErrorMessage().getPosition(), 12, "position");
        var batch = (BatchUpdateException) fails("23505", c -> {
            try (var statement = c.createStatement()) {
                statement.addBatch("INSERT INTO shop VALUES (1, 'again', 1)");
                statement.executeBatch();
            }
        }, connection);
        same(batch.getUpdateCounts().length, 1, "batch");
        same(query(connection, "SELECT 1"), List.of(List.of(1)), "after errors");
    }

    static void cursors(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        for (int round = 0; round < 7; round++) {
            try (var statement = connection.prepareStatement("SELECT n, n::text FROM generate_series(1, ?) n")) {
                statement.setInt(1, 1000);
                statement.setFetchSize(64);
                var result = statement.executeQuery();
                long sum = 0;
                while (result.next()) sum += result.getInt(1);
                same(sum, 500500L, "fetched in portions");
            }
        }
        try (var one = connection.createStatement(); var two = connection.createStatement()) {
            one.setFetchSize(10);
            two.setFetchSize(10);
            var left = one.executeQuery("SELECT n FROM generate_series(1, 100) n");
            var right = two.executeQuery("SELECT n FROM generate_series(1, 100) n");
            for (int n = 1; n <= 100; n++) {
                left.next();
                right.next();
                same(List.of(left.getInt(1), right.getInt(1)), List.of(n, n), "two portals at once");
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copies(Connection connection) throws Exception {
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        same(copy.copyIn("COPY shop FROM STDIN (FORMAT csv)", new StringReader("100,\"a,b\",\n101,c,2.5\n")), 2L, "copied in");
        var text = new StringWriter();
        same(copy.copyOut("COPY (SELECT * FROM shop WHERE id >= 100 ORDER BY id) TO STDOUT", text), 2L, "copied out");
        same(text.toString(), "100\ta,b\t\\N\n101\tc\t2.5\n", "copied");
        execute(connection, "DELETE FROM shop WHERE id >= 100");
    }

    static void cancels(Connection connection) throws Exception {
        try (var statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            fails("57014", c -> statement.executeQuery("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13"), connection);
        }
        same(query(connection, "SELECT 1"), List.of(List.of(1)), "after a cancel");
    }

    static void catalog(Connection connection) throws Exception {
        var meta = connection.getMetaData();
        same(meta.getDatabaseProductName(), "PostgreSQL", "product");
        var tables = new ArrayList<String>();
        var found = meta.getTables(null, "public", "shop%", new String[] {"TABLE"});
        while (found.next()) tables.add(found.getString("TABLE_NAME"));
        same(tables, List.of("shop"), "tables");
        var columns = new ArrayList<String>();
        found = meta.getColumns(null, "public", "shop", null);
        while (found.next()) columns.add(found.getString("COLUMN_NAME") + " " + found.getString("TYPE_NAME") + " " + found.getString("IS_NULLABLE"));
        same(columns, List.of("id int4 NO", "name text NO", "price numeric YES"), "columns");
        found = meta.getPrimaryKeys(null, "public", "shop");
        found.next();
        same(found.getString("COLUMN_NAME"), "id", "primary key");
        var schemas = new HashSet<String>();
        found = meta.getSchemas();
        while (found.next()) schemas.add(found.getString(1));
        same(schemas.contains("public"), true, "schemas");
        same(connection.getSchema(), "public", "schema");
    }

    static void subscriptions(Connection connection) throws Exception {
        try (var reader = DriverManager.getConnection(url)) {
            reader.setAutoCommit(false);
            try (var statement = reader.createStatement()) {
                statement.setFetchSize(1);
                var result = statement.executeQuery("SUBSCRIBE (SELECT id, name FROM shop)");
                var ids = new TreeSet<Integer>();
                for (int n = 0; n < 3; n++) {
                    result.next();
                    ids.add(result.getInt("id"));
                }
                same(new ArrayList<>(ids), List.of(1, 2, 3), "snapshot");
                execute(connection, "INSERT INTO shop VALUES (70, 'new', 1)");
                result.next();
                same(List.of(result.getLong("mz_diff"), result.getInt("id"), result.getString("name")), List.of(1L, 70, "new"), "a change");
                execute(connection, "DELETE FROM shop WHERE id = 70");
            }
            reader.rollback();
            same(query(reader, "SELECT 1"), List.of(List.of(1)), "afterwards");
        }
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        url = arguments[0];
        boolean isBroken = false;
        var parts = new LinkedHashMap<String, Part>();
        parts.put("parameters", Jdbc::parameters);
        parts.put("statements", Jdbc::statements);
        parts.put("transactions", Jdbc::transactions);
        parts.put("errors", Jdbc::errors);
        parts.put("cursors", Jdbc::cursors);
        parts.put("copies", Jdbc::copies);
        parts.put("cancels", Jdbc::cancels);
        parts.put("catalog", Jdbc::catalog);
        if (arguments[1].equals("tidemark")) parts.put("subscriptions", Jdbc::subscriptions);
        try (var setup = DriverManager.getConnection(url)) {
            execute(setup, "DROP TABLE IF EXISTS shop");
            execute(setup, "CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric)");
            execute(setup, "INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)");
            for (var part : parts.entrySet()) {
                try (var connection = DriverManager.getConnection(url)) {
                    part.getValue().run(connection);
                    System.out.println("ok " + part.getKey());
                } catch (Throwable problem) {
                    isBroken = true;
                    var place = Arrays.stream(problem.getStackTrace()).filter(frame -> frame.getClassName().equals("Jdbc")).map(frame -> frame.getMethodName() + ":" + frame.getLineNumber()).toList();
                    System.out.println("BROKEN " + part.getKey() + " " + place + ": " + problem);
                }
            }
            execute(setup, "DROP TABLE shop");
        }
        System.exit(isBroken ? 1 : 0);
    }
}
