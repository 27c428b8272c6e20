// pgx: what a Go application does with a server.
//
//	go run main.go URL postgres|tidemark     prints one line per part, and fails when a part is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

var background = context.Background()
var url string

func same(found, expected any, what string) error {
	if !reflect.DeepEqual(found, expected) {
		return fmt.Errorf("%s: found %#v, expected %#v", what, found, expected)
	}
	return nil
}

func fails(code string, err error) error {
	var problem *pgconn.PgError
	if !errors.As(err, &problem) {
		return fmt.Errorf("expected %s, found %v", code, err)
	}
	return same(problem.Code, code, problem.Message)
}

func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func ask[T any](connection *pgx.Conn, expected T, sql string, arguments ...any) error {
	var found T
	if err := connection.QueryRow(background, sql, arguments...).Scan(&found); err != nil {
		return fmt.Errorf("%s %v: %w", sql, arguments, err)
	}
	return same(found, expected, fmt.Sprintf("%s %v", sql, arguments))
}

func parameters(connection *pgx.Conn) error {
	var numeric pgtype.Numeric
	if err := numeric.Scan("12345678901234567890.000123"); err != nil {
		return err
	}
	name := "naïve ☃ 😀 ' \" \\"
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	for _, mode := range modes {
		err := first(
			ask(connection, int16(-32768), "SELECT $1::smallint", mode, int16(-32768)),
			ask(connection, int32(2147483647), "SELECT $1::int", mode, int32(2147483647)),
			ask(connection, int64(-9223372036854775808), "SELECT $1::bigint", mode, int64(-9223372036854775808)),
			ask(connection, float32(1.5), "SELECT $1::real", mode, float32(1.5)),
			ask(connection, 2.25, "SELECT $1::double precision", mode, 2.25),
			ask(connection, name, "SELECT $1::text", mode, name),
			ask(connection, true, "SELECT $1::boolean", mode, true),
			ask(connection, []byte{0, 1, 255}, "SELECT $1::bytea", mode, []byte{0, 1, 255}),
			ask(connection, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "SELECT $1::date", mode, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)),
			ask(connection, time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC), "SELECT $1::timestamp", mode, time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC)),
			ask(connection, []int32{1, 2, 3}, "SELECT $1::int[]", mode, []int32{1, 2, 3}),
			ask(connection, []string{"a", "", "q\"x"}, "SELECT $1::text[]", mode, []string{"a", "", "q\"x"}),
			ask[*string](connection, nil, "SELECT $1::text", mode, nil),
			ask[*int32](connection, nil, "SELECT $1::int", mode, (*int32)(nil)),
			ask(connection, "12345678901234567890.000123", "SELECT ($1::numeric)::text", mode, numeric),
		)
		if err != nil {
			return fmt.Errorf("%v: %w", mode, err)
		}
	}
	moment := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	var found time.Time
	if err := connection.QueryRow(background, "SELECT $1::timestamptz", moment).Scan(&found); err != nil {
		return err
	}
	return first(
		same(found.Equal(moment), true, "timestamptz"),
		ask(connection, map[string]any{"a": []any{1.0, nil, "x"}}, "SELECT $1::jsonb", map[string]any{"a": []any{1, nil, "x"}}),
		ask(connection, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "SELECT ($1::uuid)::text", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
		ask(connection, 26*time.Hour, "SELECT $1::interval", 26*time.Hour),
		ask(connection, numeric, "SELECT $1::numeric", numeric),
		ask(connection, "one", "SELECT name FROM shop WHERE id = $1", 1),
		ask(connection, int64(2), "SELECT count(*) FROM shop WHERE id = ANY($1)", []int32{1, 3, 99}),
	)
}

func statements(connection *pgx.Conn) error {
	if _, err := connection.Prepare(background, "by id", "SELECT name, price FROM shop WHERE id = $1"); err != nil {
		return err
	}
	for n := 0; n < 20; n++ {
		if err := ask(connection, []string{"one", "two", "three"}[n%3], "SELECT name FROM shop WHERE id = $1", n%3+1); err != nil {
			return err
		}
	}
	var name string
	var price *float64
	if err := connection.QueryRow(background, "by id", 2).Scan(&name, &price); err != nil {
		return err
	}
	tag, err := connection.Exec(background, "INSERT INTO shop SELECT n, 'n' || n, n FROM generate_series(10, 19) n")
	if err != nil {
		return err
	}
	deleted, err := connection.Exec(background, "DELETE FROM shop WHERE id >= $1", 10)
	if err != nil {
		return err
	}
	rows, err := connection.Query(background, "SELECT n, n::text FROM generate_series(1, 20000) n")
	if err != nil {
		return err
	}
	type pair struct {
		N    int32
		Text string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
	if err != nil {
		return err
	}
	return first(same(name, "two", "name"), same(price, (*float64)(nil), "price"), same(tag.String(), "INSERT 0 10", "tag"),
		same(deleted.RowsAffected(), int64(10), "deleted"), same(len(all), 20000, "rows"), same(all[19999], pair{20000, "20000"}, "last"),
		connection.Deallocate(background, "by id"), connection.Ping(background))
}

func transactions(connection *pgx.Conn) error {
	transaction, err := connection.Begin(background)
	if err != nil {
		return err
	}
	if _, err = transaction.Exec(background, "INSERT INTO shop VALUES (50, 'fifty', 1)"); err != nil {
		return err
	}
	if err = transaction.Rollback(background); err != nil {
		return err
	}
	transaction, err = connection.BeginTx(background, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	var count int
	if err = transaction.QueryRow(background, "SELECT count(*) FROM shop").Scan(&count); err != nil {
		return err
	}
	_, divided := transaction.Exec(background, "SELECT 1 / 0")
	_, refused := transaction.Exec(background, "SELECT 1")
	status := connection.PgConn().TxStatus()
	return first(same(count, 3, "count"), fails("22012", divided), fails("25P02", refused), same(status, byte('E'), "status"), transaction.Rollback(background))
}

func batches(connection *pgx.Conn) error {
	batch := &pgx.Batch{}
	for n := 0; n < 30; n++ {
		batch.Queue("SELECT $1::int * 2", n)
	}
	batch.Queue("INSERT INTO shop VALUES ($1, $2, 1)", 60, "batch")
	batch.Queue("DELETE FROM shop WHERE id = $1", 60)
	results := connection.SendBatch(background, batch)
	for n := 0; n < 30; n++ {
		var found int
		if err := first(results.QueryRow().Scan(&found), same(found, n*2, "batch")); err != nil {
			return err
		}
	}
	for n := 0; n < 2; n++ {
		tag, err := results.Exec()
		if err = first(err, same(tag.RowsAffected(), int64(1), "batch")); err != nil {
			return err
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	bad := &pgx.Batch{}
	bad.Queue("INSERT INTO shop VALUES (61, 'undone', 1)")
	bad.Queue("INSERT INTO shop VALUES (1, 'again', 1)")
	bad.Queue("SELECT 1")
	return first(fails("23505", connection.SendBatch(background, bad).Close()), ask(connection, int64(3), "SELECT count(*) FROM shop"))
}

func problems(connection *pgx.Conn) error {
	for _, one := range [][2]string{{"42601", "SELEC 1"}, {"42P01", "SELECT * FROM nosuch"}, {"42703", "SELECT nosuch FROM shop"}, {"22012", "SELECT id / 0 FROM shop"}, {"23502", "INSERT INTO shop VALUES (9, NULL, 1)"}} {
		_, err := connection.Exec(background, one[1])
		if err = fails(one[0], err); err != nil {
			return err
		}
	}
	_, err := connection.Exec(background, "SELECT id, nosuch FROM shop")
	var problem *pgconn.PgError
	if !errors.As(err, &problem) {
		return fmt.Errorf("no error: %v", err)
	}
	_, wrong := connection.Exec(background, "SELECT $1::text::int", "x")
	return first(same(problem.Position, int32(12), "position"), same(problem.Severity, "ERROR", "severity"), fails("22P02", wrong), ask(connection, int32(1), "SELECT 1"))
}

func copies(connection *pgx.Conn) error {
	count, err := connection.CopyFrom(background, pgx.Identifier{"shop"}, []string{"id", "name", "price"},
		pgx.CopyFromRows([][]any{{int32(100), "a\tb", nil}, {int32(101), "c", nil}}))
	if err = first(err, same(count, int64(2), "copied")); err != nil {
		return err
	}
	var text strings.Builder
	if _, err = connection.PgConn().CopyTo(background, &text, "COPY (SELECT id, name FROM shop WHERE id >= 100 ORDER BY id) TO STDOUT"); err != nil {
		return err
	}
	_, err = connection.Exec(background, "DELETE FROM shop WHERE id >= 100")
	return first(err, same(text.String(), "100\ta\\tb\n101\tc\n", "copied out"))
}

func cancels(connection *pgx.Conn) error {
	limited, stop := context.WithTimeout(background, 300*time.Millisecond)
	defer stop()
	other, err := pgx.Connect(background, url)
	if err != nil {
		return err
	}
	defer other.Close(background)
	started := time.Now()
	_, err = other.Exec(limited, "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * 7 % 11 = b % 13")
	if err == nil || time.Since(started) > 20*time.Second {
		return fmt.Errorf("the query went on: %v", err)
	}
	return ask(connection, int32(1), "SELECT 1")
}

func pools(_ *pgx.Conn) error {
	pool, err := pgxpool.New(background, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	answers := make(chan error)
	for n := 0; n < 40; n++ {
		go func() {
			var found int
			err := pool.QueryRow(background, "SELECT $1::int + 1", n).Scan(&found)
			answers <- first(err, same(found, n+1, "pool"))
		}()
	}
	for n := 0; n < 40; n++ {
		if one := <-answers; one != nil {
			err = one
		}
	}
	return err
}

func subscriptions(connection *pgx.Conn) error {
	reader, err := pgx.Connect(background, url)
	if err != nil {
		return err
	}
	defer reader.Close(background)
	limited, stop := context.WithTimeout(background, 30*time.Second)
	defer stop()
	rows, err := reader.Query(limited, "SUBSCRIBE (SELECT id, name FROM shop)")
	if err != nil {
		return err
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var moment pgtype.Numeric
		var change int64
		var id int32
		var name string
		if err := rows.Scan(&moment, &change, &id, &name); err != nil {
			return err
		}
		seen++
		if seen == 3 {
			if _, err := connection.Exec(background, "INSERT INTO shop VALUES (70, 'new', 1)"); err != nil {
				return err
			}
		}
		if seen == 4 {
			if err := first(same(id, int32(70), "id"), same(change, int64(1), "change"), same(name, "new", "name")); err != nil {
				return err
			}
			stop()
			break
		}
	}
	_, err = connection.Exec(background, "DELETE FROM shop WHERE id = 70")
	return first(err, same(seen, 4, "rows"))
}

func main() {
	url = os.Args[1]
	setup, err := pgx.Connect(background, url)
	if err != nil {
		fmt.Println("BROKEN:", err)
		os.Exit(1)
	}
	for _, sql := range []string{"DROP TABLE IF EXISTS shop", "CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL, price numeric)", "INSERT INTO shop VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, 'three', 3)"} {
		if _, err := setup.Exec(background, sql); err != nil {
			fmt.Println("BROKEN:", sql, err)
			os.Exit(1)
		}
	}
	type part struct {
		name string
		work func(*pgx.Conn) error
	}
	parts := []part{{"parameters", parameters}, {"statements", statements}, {"transactions", transactions}, {"batches", batches}, {"errors", problems}, {"copies", copies}, {"cancels", cancels}, {"pools", pools}}
	if os.Args[2] == "tidemark" {
		parts = append(parts, part{"subscriptions", subscriptions})
	}
	broken := false
	for _, part := range parts {
		connection, err := pgx.Connect(background, url)
		if err == nil {
			err = part.work(connection)
			connection.Close(background)
		}
		if err != nil {
			broken = true
			fmt.Printf("BROKEN %s: %v\n", part.name, err)
		} else {
			fmt.Printf("ok %s\n", part.name)
		}
	}
	if _, err := setup.Exec(background, "DROP TABLE shop"); err != nil {
		fmt.Println("BROKEN:", err)
		broken = true
	}
	if broken {
		os.Exit(1)
	}
}
